"""Loads what judging runs needs, all of it locked: contacts first, then runs.

A block holds its contact for update and looks for runs afterwards, so that a start and a block cannot miss each other.
"""

from collections.abc import Collection, Iterable

from workers.rules.blocks import Interval
from workers.rules.workflow_families import Families
from workers.rules.workflows import Run, RunKey
from workers.runtime.batch import Connection
from workers.store import contacts, workflows
from workers.store.contacts import ContactKey

Histories = dict[ContactKey, tuple[Interval, ...]]


async def lock_families(
    tx: Connection, wanted: Collection[RunKey], parents: Collection[RunKey], histories: Histories
) -> Families:
    """`wanted` with everything below them and their parents, `parents` alone; all locked, as are their contacts.

    `histories` holds the contacts locked so far; those of the runs are added.
    """
    found = await workflows.find_families(tx, wanted, parents)
    runs: dict[RunKey, Run] = {}
    while missing := found.keys() - runs.keys():
        await lock_contacts(tx, _contacts(found), histories)
        runs |= await workflows.lock(tx, missing)
        await lock_contacts(tx, _contacts({key: run.contact_id for key, run in runs.items()}), histories)
        # a child that another transaction started meanwhile can be seen only now that its parent's row is ours
        found = await workflows.find_families(tx, wanted, parents)
    return Families(runs.values(), histories)


async def lock_contacts(tx: Connection, keys: Iterable[ContactKey], histories: Histories) -> None:
    """Adds the block histories of contacts that are not in `histories` and exist; they cannot change any more."""
    if missing := set(keys) - histories.keys():
        found = await contacts.lock_shared(tx, missing)
        histories |= {key: contact.intervals for key, contact in found.items()}


def _contacts(found: workflows.Found) -> set[ContactKey]:
    return {(workspace_id, contact_id) for (workspace_id, _), contact_id in found.items() if contact_id is not None}
