"""The job that erases the history of deleted contacts: one bounded step in each transaction, the deletions in turn.

A step leaves everything that the next one needs in the rows, so that a kill at any point costs one step.
"""

from collections.abc import Sequence
from datetime import datetime
from typing import Final

from workers.contacts.deleting import DeletionCause, cut_off, move_later
from workers.process.tasks import paced
from workers.records import Event, Output
from workers.rules.contact import ContactKey
from workers.rules.deletions import addresses_named, workspaces_named
from workers.sends.cancelling import cancel_rest
from workers.sends.events import NO_INPUT, SendCause
from workers.services.job_runner import Job, Unfinished
from workers.store import address_hashes, contact_index, deletions, naming_records, pending_work
from workers.store.connection import Connection
from workers.store.deletions import Deletion
from workers.store.naming_records import ReceiptPlace

CONTACTS_AT_ONCE: Final = 500
"""Maximum number of contacts whose history one step erases."""

RECEIPT_PAGES: Final = 10

CUT_AT_ONCE: Final = 200
"""Maximum number of contacts that one step cuts off: who judges messages of theirs waits for it."""


async def erase(tx: Connection, now: datetime) -> Sequence[Event] | Unfinished:
    """The next step of the deletion that waited longest: addresses first, then dead letters, then the
    history contact by contact.
    """
    await deletions.finish(tx, now)
    deletion = await deletions.next_deletion(tx)
    if deletion is None:
        return ()
    if deletion.cutting:
        return Unfinished([output.event for output in await _cut_off(tx, deletion, now)])
    if deletion.letters_until is None:
        await _search_receipts(tx, deletion)
        await naming_records.begin_letters(tx, deletion)
    elif deletion.letters_read < deletion.letters_until:
        await _search_letters(tx, deletion)
    else:
        return Unfinished([output.event for output in await _erase_contacts(tx, deletion, now)])
    await deletions.served(tx, deletion)
    return Unfinished()


async def _cut_off(tx: Connection, deletion: Deletion, now: datetime) -> list[Output]:
    """Cuts off the next contacts of a deletion of very many."""
    cause = DeletionCause(deletion.deletion_id, pending_work.origin(now))
    found = await deletions.begin_cut(tx, deletion, CUT_AT_ONCE)
    outputs: list[Output] = []
    if found:
        _, _, outputs = await cut_off(tx, found, next(iter(found.values())), cause, now)
    await deletions.served(tx, deletion)
    return outputs


async def _search_receipts(tx: Connection, deletion: Deletion) -> None:
    """Deletes parked receipts that name an address of the deleted contacts. Those of their sends go with the sends, and
    none is parked for longer than a day; so a step looks through the first ones only.
    """
    after: ReceiptPlace = ("", 0, 0)
    for _ in range(RECEIPT_PAGES):
        found = await naming_records.receipts(tx, deletion.workspace_id, after, pending_work.STEP)
        said: list[tuple[int, str]] = []
        async for number, (_, value) in paced(list(enumerate(found))):
            said += ((number, text) for text in addresses_named(value))
        naming = await naming_records.letters_naming(tx, deletion.workspace_id, said)
        await naming_records.erase_receipts(tx, deletion.workspace_id, [found[number][0] for number in naming])
        if len(found) < pending_work.STEP:
            return
        after = found[-1][0]


async def _search_letters(tx: Connection, deletion: Deletion) -> None:
    """Erases the dead letters that name an address of the deleted contacts."""
    found = await naming_records.letters(tx, deletion)
    said: list[tuple[int, str]] = []
    async for letter in paced(found):
        if deletion.workspace_id in workspaces_named(letter.key, letter.value):
            said += ((letter.id, text) for text in addresses_named(letter.value))
    await naming_records.erase_letters(tx, await naming_records.letters_naming(tx, deletion.workspace_id, said))
    await naming_records.letters_done(tx, deletion, found[-1].id if found else deletion.letters_until or 0)


async def _erase_contacts(tx: Connection, deletion: Deletion, now: datetime) -> list[Output]:
    contacts = await deletions.contacts_to_erase(tx, deletion, CONTACTS_AT_ONCE)
    if not contacts:
        await deletions.wait_for_queues(tx, deletion)
        return []
    complete, outputs = await _erase_some(tx, deletion, contacts, now)
    if complete:
        await contact_index.renew(tx, contacts)
        await deletions.erased(tx, contacts)
    await deletions.served(tx, deletion, len(contacts) if complete else 0)
    return outputs


async def _erase_some(
    tx: Connection, deletion: Deletion, contacts: Sequence[ContactKey], now: datetime
) -> tuple[bool, list[Output]]:
    """Returns whether nothing is left of these contacts, and the events."""
    cause = DeletionCause(deletion.deletion_id, pending_work.origin(now))
    moved, outputs = await move_later(tx, contacts, cause, now, pending_work.STEP)
    if moved == pending_work.STEP:
        return False, outputs
    held = await deletions.held(tx, contacts, pending_work.STEP)
    outputs += await cancel_rest(tx, held, SendCause(str(deletion.deletion_id), NO_INPUT), now)
    if sum(map(len, held.values())) == pending_work.STEP:
        return False, outputs
    return await deletions.erase(tx, contacts, pending_work.STEP), outputs


async def forget(tx: Connection, now: datetime) -> Sequence[Event] | Unfinished:
    """Deletes hashes of addresses that are needed no more."""
    return Unfinished() if await address_hashes.forget(tx, now, pending_work.STEP) == pending_work.STEP else ()


JOBS: Final = (Job("erase deleted contacts", 1, erase), Job("forget deleted addresses", 600, forget))
