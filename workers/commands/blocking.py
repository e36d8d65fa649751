"""block_contact, unblock_contact, release_dropped: a history, and all that follows from it, in one transaction.

The commands of one contact are carried out one after the other, those of different contacts together: in rounds.
"""

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime
from itertools import groupby
from typing import Any, Final

from schemas.commands import BlockContact, ReleaseDropped, UnblockContact
from workers.commands.asked import Asked
from workers.commands.targets import Targets
from workers.inbound.releasing import Release, release
from workers.inbound.revising import revise
from workers.outbound.cancelling import cancel_blocked
from workers.rules.blocks import BlockChange, BlockCommand, Interval, blocked_now, first_change, history
from workers.rules.results import Done, Refused, Result
from workers.runtime.batch import Connection, Output
from workers.store import blocks, contacts
from workers.store.blocks import BlockRow
from workers.store.commands import CommandKey
from workers.store.contacts import ContactKey
from workers.workflows.halting import rejudge

Turn = Mapping[ContactKey, Sequence[Asked[Any]]]
Results = dict[CommandKey, Result]

SINGLY: Final = 20  # commands of one contact that report each for itself; a flood must not outlast its transaction


async def carry_out(
    tx: Connection, asked: Sequence[Asked[Any]], targets: Targets, now: datetime
) -> tuple[Results, list[Output]]:
    """Results of the commands, and the facts they lead to. Their contacts are locked for update."""
    results: Results = {a.key: Refused("not_found") for a in asked if targets.of(a) is None}
    aimed = [(contact, a) for a in asked if (contact := targets.of(a)) is not None]
    known = await blocks.find(tx, {contact for contact, _ in aimed})
    await blocks.add(tx, [_row(contact, a) for contact, a in aimed if not _releases(a)])
    outputs: list[Output] = []
    for turn in rounds(aimed):
        blocking = {key: given for key, given in turn.items() if not _releases(given[0])}
        releasing = {key: given[0] for key, given in turn.items() if _releases(given[0])}
        for carried, facts in (
            await _change_histories(tx, blocking, known, now),
            await _release(tx, releasing, now),
        ):
            results |= carried
            outputs += facts
    return results, outputs


def rounds(aimed: Iterable[tuple[ContactKey, Asked[Any]]]) -> list[dict[ContactKey, list[Asked[Any]]]]:
    """The k-th command of every contact is in the k-th round; after `SINGLY` rounds neighbouring blocks share one."""
    turns: list[dict[ContactKey, list[Asked[Any]]]] = []
    taken: Counter[ContactKey] = Counter()
    for contact, asked in aimed:
        latest = turns[taken[contact] - 1][contact] if taken[contact] > SINGLY else None
        if latest is not None and not _releases(asked) and not _releases(latest[-1]):
            latest.append(asked)
            continue
        if taken[contact] == len(turns):
            turns.append({})
        turns[taken[contact]][contact] = [asked]
        taken[contact] += 1
    return turns


async def _change_histories(
    tx: Connection, turn: Turn, known: dict[ContactKey, list[BlockCommand]], now: datetime
) -> tuple[Results, list[Output]]:
    changes: dict[ContactKey, BlockChange] = {}
    saved: dict[ContactKey, tuple[Interval, ...]] = {}
    movers: dict[ContactKey, list[Asked[Any]]] = {}
    for key, given in turn.items():
        before = history(known[key])
        after, movers[key] = _advance(known[key], before, given)
        if before != after:
            saved[key] = after
        if first_change(before, after) is not None:
            last = movers[key][-1]
            changes[key] = BlockChange(*key, last.command.command_id, last.stamp.at, before, after)
    await contacts.save_blocks(tx, saved)
    results: Results = {a.key: Done() for given in turn.values() for a in given}
    results |= {a.key: Done(_counts()) for moving in movers.values() for a in moving}
    outputs: list[Output] = []
    if changes:
        latest = {key: movers[key][-1] for key in changes}
        followed, outputs = await _follow_up(tx, latest, changes, now)
        results |= followed
    await contacts.mark_dirty(tx, saved)
    return results, outputs


def _advance(
    known: list[BlockCommand], before: tuple[Interval, ...], given: Iterable[Asked[Any]]
) -> tuple[tuple[Interval, ...], list[Asked[Any]]]:
    """Adds commands to the `known` ones: the history they lead to, and which of them changed it."""
    movers = []
    for a in given:
        known.append(_block_command(a))
        after = history(known)
        if first_change(before, after) is not None:
            movers.append(a)
        before = after
    return before, movers


async def _follow_up(
    tx: Connection, causes: Mapping[ContactKey, Asked[Any]], changes: Mapping[ContactKey, BlockChange], now: datetime
) -> tuple[Results, list[Output]]:
    origins = {key: a.record for key, a in causes.items()}
    # A run hears that its step is resolved before it hears that it is halted: that must be the highest revision.
    cancelled, send_facts = await cancel_blocked(tx, changes, origins, now)
    halted, run_facts = await rejudge(tx, changes, origins, now)
    revised, message_facts = await revise(tx, changes, origins, now)
    results: Results = {a.key: Done(_counts(halted[key], cancelled[key], revised[key])) for key, a in causes.items()}
    return results, [*send_facts, *run_facts, *message_facts]


def _counts(halted: int = 0, cancelled: int = 0, revised: int = 0) -> dict[str, int]:
    return {"runs_halted": halted, "holds_cancelled": cancelled, "messages_revised": revised}


async def _release(
    tx: Connection, turn: Mapping[ContactKey, Asked[Any]], now: datetime
) -> tuple[Results, list[Output]]:
    results: Results = {}
    outputs: list[Output] = []
    if not turn:
        return results, outputs
    current = await contacts.lock_for_update(tx, turn)
    results |= {a.key: Refused("contact_blocked") for key, a in turn.items() if blocked_now(current[key].intervals)}
    due = [
        Release(
            command_id=a.command.command_id,
            contact=current[key],
            origin=a.record,
            message_ids=a.command.message_ids or (),
            from_=a.command.from_,
            to=a.command.to,
        )
        for key, a in sorted(turn.items())
        if a.key not in results
    ]
    # A command id is unique within its workspace only.
    for workspace_id, releases in groupby(due, key=lambda r: r.contact.workspace_id):
        counts, facts = await release(tx, list(releases), now)
        results |= {(workspace_id, c): Done({"messages_revised": n} if n else {}) for c, n in counts.items()}
        outputs += facts
    await contacts.mark_dirty(tx, turn)
    return results, outputs


def _releases(asked: Asked[Any]) -> bool:
    return isinstance(asked.command, ReleaseDropped)


def _block_command(a: Asked[BlockContact | UnblockContact]) -> BlockCommand:
    unblocks = isinstance(a.command, UnblockContact)
    return BlockCommand(a.stamp.at, unblocks, a.command.command_id, a.command.actor.id)


def _row(contact: ContactKey, a: Asked[Any]) -> BlockRow:
    return BlockRow(*contact, _block_command(a), a.command.note if isinstance(a.command, BlockContact) else None)
