"""Ends holds when their contact is blocked or their run is halted."""

from collections import Counter
from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any, TypeVar
from uuid import UUID

from schemas.ids import fact_id
from workers.records import Output, Record
from workers.rules.blocks import BlockChange
from workers.rules.contact import ContactKey
from workers.rules.sends import FOREVER, cancelled_until
from workers.rules.workflows import RunKey
from workers.sends.events import SendCause, origin_of_record
from workers.sends.hold_answer_steps import AnswerChunks, Tally, Word, ending
from workers.store import holds, pending_work, sends
from workers.store.connection import Connection
from workers.store.holds import Counted
from workers.store.sends import SendKey

HoldSubject = TypeVar("HoldSubject", ContactKey, RunKey)


async def cancel_blocked(
    tx: Connection,
    block_changes: Mapping[ContactKey, BlockChange],
    origins: Mapping[ContactKey, Record[Any]],
    now: datetime,
) -> tuple[Counter[ContactKey], list[Output]]:
    """Cancels the holds that a changed block history ends. Returns how many per contact.

    The contacts must be locked for update. Also ends a hold to an address of a blocked contact.
    """
    until = {k: at for k, c in block_changes.items() if (at := cancelled_until(c.before, c.after)) is not None}
    if not until:
        return Counter(), []
    found = await holds.of_contacts(tx, until, pending_work.ROWS_AT_ONCE)
    words = {
        contact: Word("cancel", SendCause(str(c.command_id), origin_of_record(origins[contact]), _actor(c)), now)
        for contact, c in block_changes.items()
    }
    cancelled, outputs = await _end(tx, found, words, now)
    works = [
        ending(holds.CANCEL, contact, block_changes[contact].command_id, words[contact], now, counted, until[contact])
        for contact, counted in found.items()
        if contact not in cancelled
    ]
    await pending_work.add(tx, works)
    return cancelled + Counter({c: n.holds for c, n in found.items() if c not in cancelled}), outputs


async def cancel_deleted(
    tx: Connection, causes: Mapping[ContactKey, SendCause], now: datetime
) -> tuple[Counter[ContactKey], list[Output]]:
    """Cancels the holds of contacts that are deleted, as many as one transaction may. Returns how many per contact,
    with those that `cancel_rest` must cancel later.

    The contacts must be locked for update and still have their addresses.
    """
    found = await holds.of_contacts(tx, dict.fromkeys(causes, FOREVER), pending_work.ROWS_AT_ONCE)
    words = {contact: Word("delete", cause, now) for contact, cause in causes.items()}
    cancelled, outputs = await _end(tx, found, words, now)
    return cancelled + Counter({c: n.holds for c, n in found.items() if c not in cancelled}), outputs


async def cancel_rest(
    tx: Connection, held: Mapping[ContactKey, Sequence[UUID]], cause: SendCause, now: datetime
) -> list[Output]:
    """Cancels these holds of deleted contacts."""
    found = {key: Counted(len(ids), [(key[0], send_id) for send_id in ids]) for key, ids in held.items()}
    _, outputs = await _end(tx, found, dict.fromkeys(held, Word("delete", cause, now)), now)
    return outputs


async def refuse_halted(tx: Connection, runs: Mapping[RunKey, Record[Any]], now: datetime) -> list[Output]:
    """Refuses the undispatched sends of halted runs, (workspace_id, run_id) -> origin.

    The claim refuses dispatched ones, and the retry job those that wait for another attempt.
    """
    found = await holds.of_runs(tx, runs, pending_work.ROWS_AT_ONCE) if runs else {}
    words = {
        run: Word("refuse", SendCause("run_halted", origin_of_record(record)), now) for run, record in runs.items()
    }
    refused, outputs = await _end(tx, found, words, now)
    works = [
        ending(holds.REFUSE, run, fact_id("sends.status", *run, now.isoformat()), words[run], now, counted)
        for run, counted in found.items()
        if run not in refused
    ]
    await pending_work.add(tx, works)
    return outputs


async def _end(
    tx: Connection, found: Mapping[HoldSubject, Counted], words: Mapping[HoldSubject, Word], now: datetime
) -> tuple[Counter[HoldSubject], list[Output]]:
    """Ends as many holds as one transaction may, either all holds of a subject or none. Returns how many of each
    subject.
    """
    tallies: dict[HoldSubject, Tally] = {}
    ended: list[tuple[Tally, SendKey]] = []
    for subject, (_, keys) in sorted(found.items()):
        if keys is not None and len(ended) + len(keys) <= pending_work.ROWS_AT_ONCE:
            tallies[subject] = Tally(words[subject].cause.origin, words[subject])
            ended += [(tallies[subject], key) for key in keys]
    await sends.lock_rows(tx, {key for _, key in ended})
    chunks = AnswerChunks(tx, now)
    for tally, key in ended:
        await chunks.take(tally, key)
    await chunks.save()
    return Counter({subject: tally.counts.total() for subject, tally in tallies.items()}), chunks.outputs


def _actor(change: BlockChange) -> str | None:
    return (change.after[-1].blocked_by if change.after else None) or None
