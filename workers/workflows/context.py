"""Loads and locks the rows that decisions about workflow runs need: contacts first, then runs.

A block locks its contact FOR UPDATE and then looks for runs. A start locks the contact before it inserts the run. So
one of them always sees the other. In the same way a parent's end and a child's start both lock the parent's row.
"""

from collections.abc import Collection, Iterable, Iterator, Mapping, Set
from datetime import datetime
from types import MappingProxyType
from uuid import UUID

from workers.process.tasks import slices
from workers.rules.blocks import Interval
from workers.rules.contact import Contact, ContactKey
from workers.rules.workflow_families import Changes, Families, RunEvent
from workers.rules.workflows import Run, RunKey
from workers.store import blocks, contacts, workflows
from workers.store.connection import Connection

People = dict[ContactKey, Contact]

RunRequest = tuple[RunKey, datetime, ContactKey | None]
"""A start or step of this batch: the run, the time, and the contact (None for a step)."""


async def lock_families(
    tx: Connection,
    wanted: Set[RunKey],
    parents: Collection[RunKey],
    people: People,
    asked: Iterable[RunRequest] = (),
    before: Changes = MappingProxyType({}),
) -> tuple[Families, list[tuple[RunKey, RunEvent]]]:
    """Locks `wanted`, their parents and `parents`, and the contacts of all these. Does not load children.

    `people` are the contacts that are locked already; adds those of the runs. `asked` are further starts and steps: the
    block histories reach back to their times. `before` are changes of block histories that the decisions about these
    runs must ignore.

    A parent run or a block may have ended a run in `wanted` while the steps that apply this end have not reached the
    run. Then applies the end now: the second result has, for each event to publish, the run in `wanted` that it
    reached.
    """
    found = await workflows.find(tx, wanted, parents)
    await lock_contacts(tx, contacts_of(found.runs), people)
    runs = await workflows.lock(tx, found.runs)
    # Seldom any: only a run that another transaction stored after `find` can have a contact that is not locked yet.
    await lock_contacts(tx, contacts_of({key: run.contact_id for key, run in runs.items()}), people)
    behind = [key for key in wanted if key[0] in found.behind]
    # The block history changed after an end that is not applied to these runs yet: first that end, with the history
    # from before, and then the change.
    overdue = await workflows.judged_before(tx, behind) if behind and not before else {}
    families = Families(runs.values(), await histories(tx, runs, people, asked), {**before, **overdue})
    caught_up: list[tuple[RunKey, RunEvent]] = []
    async for some in slices(behind):
        caught_up += families.catch_up(some, wanted)
    async for some in slices(list(overdue)):
        caught_up += ((run_event.run, run_event) for run_event in families.go_on(some))
    return families, caught_up


async def lock_contacts(tx: Connection, keys: Iterable[ContactKey], people: People) -> None:
    """Locks the existing contacts among `keys`, and adds those that `people` lacks. Until this transaction ends, nobody
    can change their block histories.
    """
    if missing := set(keys) - people.keys():
        people |= await contacts.lock_shared(tx, missing)


def contacts_of(found: Mapping[RunKey, UUID | None]) -> set[ContactKey]:
    return {(workspace_id, contact_id) for (workspace_id, _), contact_id in found.items() if contact_id is not None}


async def histories(
    tx: Connection, runs: Mapping[RunKey, Run], people: People, asked: Iterable[RunRequest] = ()
) -> dict[ContactKey, tuple[Interval, ...]]:
    """Returns the block history of each contact, back to the earliest start or step of its runs. Adds what it loads to
    `people`.
    """
    people.update(await blocks.reaching(tx, people, _moments(runs, asked)))
    return {key: contact.intervals for key, contact in people.items()}


def _moments(runs: Mapping[RunKey, Run], asked: Iterable[RunRequest]) -> Iterator[tuple[ContactKey, datetime]]:
    """Yields the time of each start and step, with the contact."""
    contact_of = {}
    for run in runs.values():
        if run.contact_id is not None:
            contact_of[run.key] = run.workspace_id, run.contact_id
            yield contact_of[run.key], run.started_at
            if run.contact_step is not None:
                yield contact_of[run.key], run.contact_step.at
    for key, at, contact in asked:
        if contact is not None and key not in runs:
            contact_of.setdefault(key, contact)
        if key in contact_of:
            yield contact_of[key], at
