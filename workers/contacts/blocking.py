"""block_contact, unblock_contact, release_dropped: a history and its consequences, in one transaction.

Commands of one contact are applied one after the other, those of different contacts together: in rounds.
"""

import dataclasses
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime
from itertools import groupby
from typing import Any, Final

from msgspec.structs import replace

from schemas.contact_commands import BlockContact, ReleaseDropped, UnblockContact
from workers.commands.command_record import CommandRecord
from workers.commands.targets import Targets
from workers.contacts import kept_blocks
from workers.contacts.ownership import follow_blocks
from workers.messages.late_blocks import revise
from workers.messages.moving import MoveCause
from workers.messages.releasing import Release, release_dropped
from workers.process.tasks import paced
from workers.records import Output
from workers.rules.blocks import (
    BlockChange,
    BlockCommand,
    blocked_now,
    first_change,
    history,
    insert,
    kept_history,
    order_key,
)
from workers.rules.contact import ContactKey
from workers.rules.results import Done, Refused, Result, nobody
from workers.sends.cancelling import cancel_blocked
from workers.store import blocks, contacts
from workers.store.blocks import BlockRow
from workers.store.commands import CommandKey
from workers.store.connection import Connection
from workers.store.workspaces import Workspace
from workers.workflows.context import People
from workers.workflows.halting import rejudge

Turn = Mapping[ContactKey, Sequence[CommandRecord[Any]]]
Results = dict[CommandKey, Result]

SINGLY: Final = (
    20  # commands of one contact with a result of their own; a flood must not exceed the transaction's time limit
)


async def carry_out(
    tx: Connection,
    asked: Sequence[CommandRecord[Any]],
    targets: Targets,
    tenants: Mapping[str, Workspace],
    now: datetime,
) -> tuple[Results, list[Output]]:
    """Results of the commands, and their events. Their contacts are locked for update."""
    results: Results = {a.key: nobody(a.command) for a in asked if targets.of(a) is None}
    results |= await kept_blocks.lift(tx, [a for a in asked if a.key in results], targets)
    aimed = [(contact, a) for a in asked if (contact := targets.of(a)) is not None]
    people: People = {key: targets.existing[key] for key, _ in aimed}
    families = await contacts.merged_into(tx, people) if people else {}
    people |= await contacts.lock_for_update(tx, [key for members in families.values() for key in members])
    outputs: list[Output] = []
    for turn in rounds(aimed):
        # A block is of a contact and of everybody who was merged into it: each history judges other messages.
        blocking = {
            member: given
            for key, given in turn.items()
            if not _releases(given[0])
            for member in (key, *families.get(key, ()))
        }
        roots = {member: key for key in turn for member in families.get(key, ())}
        releasing = {key: given[0] for key, given in turn.items() if _releases(given[0])}
        for carried, events in (
            await _change_histories(tx, blocking, roots, people, tenants, now),
            await _release(tx, releasing, now),
        ):
            results |= carried
            outputs += events
    return results, outputs


def rounds(aimed: Iterable[tuple[ContactKey, CommandRecord[Any]]]) -> list[dict[ContactKey, list[CommandRecord[Any]]]]:
    """The k-th command of every contact is in the k-th round. After `SINGLY` rounds neighbouring blocks share one."""
    turns: list[dict[ContactKey, list[CommandRecord[Any]]]] = []
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
    tx: Connection,
    turn: Turn,
    roots: Mapping[ContactKey, ContactKey],
    people: People,
    tenants: Mapping[str, Workspace],
    now: datetime,
) -> tuple[Results, list[Output]]:
    """`roots`: whom contacts of this turn were merged into."""
    changes: dict[ContactKey, BlockChange] = {}
    saved: set[ContactKey] = set()
    movers: dict[ContactKey, list[CommandRecord[Any]]] = {}
    new = await _of_families(tx, turn, roots)
    rows = [
        BlockRow(*key, command, _note(a), a.record.recorded_at) for key, given in new.items() for a, command in given
    ]
    known = await blocks.around(tx, rows) if rows else {}
    await blocks.add(tx, rows)
    async for key, given in paced(new.items()):
        commands = sorted(known.get(key, ()), key=order_key)
        before = history(commands)
        movers[key] = [a for a, command in given if insert(commands, command)]
        after = history(commands)
        if before != after:
            saved.add(key)
            intervals, since = kept_history(people[key].intervals, people[key].known_since, before, after)
            people[key] = replace(people[key], intervals=intervals, known_since=since)
        if first_change(before, after) is not None:
            last = movers[key][-1]
            changes[key] = BlockChange(*key, last.command.command_id, last.stamp.at, before, after)
    await contacts.save_blocks(tx, {k: people[k].intervals for k in saved}, {k: people[k].known_since for k in saved})
    results: Results = {a.key: Done() for given in turn.values() for a in given}
    results |= {a.key: Done(_counts()) for moving in movers.values() for a in moving}
    latest = {key: movers[key][-1] for key in changes}
    outputs = await follow_blocks(tx, {key: _cause(a, tenants) for key, a in latest.items()}, now)
    if changes:
        followed, events = await _follow_up(tx, latest, changes, people, now)
        results |= followed
        outputs += events
    await contacts.mark_unpublished(tx, {key for key in saved if people[key].merged_into is None})
    return results, outputs


async def _of_families(
    tx: Connection, turn: Turn, roots: Mapping[ContactKey, ContactKey]
) -> dict[ContactKey, list[tuple[CommandRecord[Any], BlockCommand]]]:
    """The commands as each contact has them. A late block is of the merged contact: an older unblock of one side does
    not end it for that side's addresses alone, and one of the survivor ends it for all.
    """
    new = {key: [(a, _block_command(a)) for a in given] for key, given in turn.items()}
    late = {
        (member, root[1], command.issued_at)
        for member, root in roots.items()
        for _, command in new.get(member, ())
        if not command.unblocks
    }
    apart = await blocks.apart(tx, late) if late else {}
    for member in roots.keys() & new.keys():
        more: list[tuple[CommandRecord[Any], BlockCommand]] = []
        for a, command in new[member]:
            own, theirs = apart.get((member, command.issued_at), ((), None)) if not command.unblocks else ((), None)
            again = [at for at in own if theirs is None or at < theirs.issued_at]
            more += ((a, dataclasses.replace(command, issued_at=at)) for at in again)
            more += [(a, theirs)] if theirs is not None else []
        new[member] += more
    return new


async def _follow_up(
    tx: Connection,
    causes: Mapping[ContactKey, CommandRecord[Any]],
    changes: Mapping[ContactKey, BlockChange],
    people: People,
    now: datetime,
) -> tuple[Results, list[Output]]:
    origins = {key: a.record for key, a in causes.items()}
    # The resolved step comes before the halt of its run: the halt must have the highest revision.
    cancelled, send_events = await cancel_blocked(tx, changes, origins, now)
    halted, run_events = await rejudge(tx, changes, {key: people[key] for key in changes}, origins, now)
    revised, message_events = await revise(tx, changes, origins, now)
    sums: dict[CommandKey, list[int]] = {a.key: [0, 0, 0] for a in causes.values()}
    for key, a in causes.items():
        found = halted[key], cancelled[key], revised[key]
        sums[a.key] = [so_far + more for so_far, more in zip(sums[a.key], found, strict=True)]
    results: Results = {command: Done(_counts(*numbers)) for command, numbers in sums.items()}
    return results, [*send_events, *run_events, *message_events]


def _counts(halted: int = 0, cancelled: int = 0, revised: int = 0) -> dict[str, int]:
    return {"runs_halted": halted, "holds_cancelled": cancelled, "messages_revised": revised}


async def _release(
    tx: Connection, turn: Mapping[ContactKey, CommandRecord[Any]], now: datetime
) -> tuple[Results, list[Output]]:
    results: Results = {}
    outputs: list[Output] = []
    if not turn:
        return results, outputs
    current = await contacts.read(tx, turn)  # an earlier command of the batch may have changed them
    blocked = Refused("contact_blocked", "the contact is blocked: give `unblock_contact` first")
    results |= {a.key: blocked for key, a in turn.items() if blocked_now(current[key].intervals)}
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
    # A command id is unique only within its workspace.
    for workspace_id, releases in groupby(due, key=lambda r: r.contact.workspace_id):
        counts, events = await release_dropped(tx, list(releases), now)
        results |= {(workspace_id, c): Done({"messages_revised": n} if n else {}) for c, n in counts.items()}
        outputs += events
    await contacts.mark_unpublished(tx, turn)
    return results, outputs


def _cause(a: CommandRecord[Any], tenants: Mapping[str, Workspace]) -> MoveCause:
    return MoveCause(a.command.command_id, a.record, tenants[a.command.workspace_id])


def _releases(asked: CommandRecord[Any]) -> bool:
    return isinstance(asked.command, ReleaseDropped)


def _block_command(a: CommandRecord[BlockContact | UnblockContact]) -> BlockCommand:
    unblocks = isinstance(a.command, UnblockContact)
    return BlockCommand(a.stamp.at, unblocks, a.command.command_id, a.command.actor.id)


def _note(a: CommandRecord[Any]) -> str | None:
    return a.command.note if isinstance(a.command, BlockContact) else None
