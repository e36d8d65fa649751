"""delete_contacts: cuts contacts off in the command's transaction. Steps erase their history (erasing.py)."""

from collections.abc import Collection, Sequence
from datetime import datetime
from typing import Any, Final, NamedTuple
from uuid import UUID

from schemas.contact_commands import DeleteContacts
from workers.commands.command_record import CommandRecord
from workers.messages import moving
from workers.messages.moving import MoveCause
from workers.records import Output, Record
from workers.rules.contact import ContactKey
from workers.rules.results import Done, Refused, Result
from workers.rules.workflows import ContactGone
from workers.sends.cancelling import cancel_deleted
from workers.sends.events import SendCause, origin_of_record
from workers.store import address_hashes, contacts, deletions, ownership, pending_work, workspaces
from workers.store.commands import CommandKey
from workers.store.connection import Connection
from workers.workflows import halting

Asked = Sequence[CommandRecord[DeleteContacts]]

_NO_KEY: Final = Refused(
    "not_supported",
    "`command`: `SLUICE_HASH_KEY` is not set, and without it blocks and opt-outs would end with the contacts",
)
AT_ONCE: Final = 1_000
"""Maximum number of contacts that a command cuts off in its own transaction. Each is a dozen rows, and who judges a
message waits meanwhile.
"""


class DeletionCause(NamedTuple):
    """The command that deletes contacts, and the record of its events."""

    deletion_id: UUID
    record: Record[Any]


async def contacts_to_delete(tx: Connection, asked: Asked) -> set[ContactKey]:
    """The contacts that these commands cut off. Locks nothing. With each go those that were merged into it."""
    named: set[ContactKey] = set()
    for a in asked:
        some = await _named(tx, a.command)
        named |= some if len(some) <= AT_ONCE else set()
    return named


async def _named(tx: Connection, command: DeleteContacts) -> set[ContactKey]:
    if command.contact_ids is not None:
        return {(command.workspace_id, contact_id) for contact_id in command.contact_ids}
    return await deletions.some_contacts(tx, command.workspace_id, AT_ONCE + 1)


async def carry_out(tx: Connection, asked: Asked, now: datetime) -> tuple[dict[CommandKey, Result], list[Output]]:
    """The results of the commands, one after the other, and their events."""
    results: dict[CommandKey, Result] = {}
    outputs: list[Output] = []
    for a in asked:
        results[a.key], events = await _delete(tx, a, now)
        outputs += events
    return results, outputs


async def _delete(tx: Connection, a: CommandRecord[DeleteContacts], now: datetime) -> tuple[Result, list[Output]]:
    if not address_hashes.can_hash():
        return _NO_KEY, []
    named = await _named(tx, a.command)
    if len(named) > AT_ONCE:
        return await _delete_many(tx, a, None if a.command.all else named), []
    # Mostly locked already, with the contacts of the other commands; those made since are not.
    found = {contact.key for contact in (await contacts.lock_present(tx, named)).values()}
    if len(found) != a.command.expected_count:
        return _differs(a, len(found)), []
    if not found:
        return Done(), []
    everybody = {*found, *(key for members in (await contacts.merged_into(tx, found)).values() for key in members)}
    await contacts.lock_for_update(tx, everybody)
    await deletions.add(tx, a.key, a.stamp.at, everybody)
    halted, cancelled, outputs = await cut_off(tx, everybody, a.stamp.at, DeletionCause(a.key[1], a.record), now)
    return Done({"contacts": len(found), "runs_halted": halted, "holds_cancelled": cancelled}), outputs


async def _delete_many(
    tx: Connection, a: CommandRecord[DeleteContacts], named: Collection[ContactKey] | None
) -> Result:
    """Deletes them by a rule; steps cut them off. Tells what ends, as judged now."""
    present = set((await contacts.present(tx, named)).values()) if named is not None else None
    found = await deletions.add_many(tx, a.key, a.stamp.at, present, a.command.expected_count)
    if found != a.command.expected_count:
        return _differs(a, found)
    if not found:
        return Done()
    halted, cancelled = await deletions.count_concerned(tx, a.key)
    return Done({"contacts": found, "runs_halted": halted, "holds_cancelled": cancelled})


def _differs(a: CommandRecord[DeleteContacts], found: int) -> Refused:
    detail = f"`expected_count`: {a.command.expected_count} was given, and {found} of these contacts exist"
    return Refused("count_differs", detail)


async def cut_off(
    tx: Connection, deleted: Collection[ContactKey], at: datetime, cause: DeletionCause, now: datetime
) -> tuple[int, int, list[Output]]:
    """Cuts contacts of one workspace off as of `at`; they are locked for update. Returns the numbers of halted runs and
    cancelled holds, and the events.
    """
    why = SendCause(str(cause.deletion_id), origin_of_record(cause.record))
    # The resolved step comes before the halt of its run: the halt must have the highest revision.
    cancelled, send_events = await cancel_deleted(tx, dict.fromkeys(deleted, why), now)
    gone = dict.fromkeys(deleted, ContactGone(at, "contact_deleted"))
    halted, run_events = await halting.end(tx, gone, dict.fromkeys(deleted, cause.record), now)
    await deletions.cut_off(tx, deleted, at)
    _, message_events = await move_later(tx, deleted, cause, now, pending_work.ROWS_AT_ONCE)
    return halted.total(), cancelled.total(), [*send_events, *run_events, *message_events]


async def move_later(
    tx: Connection, deleted: Collection[ContactKey], cause: DeletionCause, now: datetime, limit: int
) -> tuple[int, list[Output]]:
    """Gives messages of contacts of one workspace that are cut off, and that are not older than the deletion, to a new
    contact, as if the deletion had been known when they came. Returns how many, at most `limit`, and the events of
    those that the blocks of their new contact judge otherwise.
    """
    workspace_id = next(iter(deleted))[0]
    found = await ownership.misplaced(tx, workspace_id, (), [contact_id for _, contact_id in deleted], limit)
    if not found:
        return 0, []
    tenants = await workspaces.share(tx, {(workspace_id, "", "")})
    return await moving.give(tx, found, MoveCause(cause.deletion_id, cause.record, tenants[workspace_id]), now)
