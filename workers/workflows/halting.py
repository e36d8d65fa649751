"""Runs end with their contact: by a block, or because the contact is merged away or deleted (contract 6).

Called in the transaction of the command, which holds the contacts' rows for update: no run of theirs starts meanwhile.
"""

from collections import Counter
from collections.abc import Iterable, Mapping
from datetime import UTC, datetime
from typing import Any, Final

from workers.rules.blocks import BlockChange, first_change
from workers.rules.workflow_families import Families, Telling
from workers.rules.workflows import Cut, RunKey
from workers.runtime.batch import Connection, Output, Record
from workers.store import workflows
from workers.store.contacts import ContactKey
from workers.workflows.loading import Histories, lock_families
from workers.workflows.telling import save_and_tell

Origins = Mapping[ContactKey, Record[Any]]

_STILL_RUNNING: Final = datetime.max.replace(tzinfo=UTC)


async def rejudge(
    tx: Connection, changes: Mapping[ContactKey, BlockChange], origins: Origins, now: datetime
) -> tuple[Counter[ContactKey], list[Output]]:
    """Judge runs again by the changed block histories; how many were halted on each contact's account, and the facts.

    An automatic run that turns out to have started inside a block is refused, not halted, and not among the number.
    """
    since = {key: at for key, c in changes.items() if (at := first_change(c.before, c.after)) is not None}
    if not since:
        return Counter(), []
    histories: Histories = {key: change.after for key, change in changes.items()}
    found, families = await _load(tx, since, histories)
    told = {contact: families.rejudge(runs) for contact, runs in found.items()}
    return await _finish(tx, families, told, origins, now)


async def end(
    tx: Connection, cuts: Mapping[ContactKey, Cut], origins: Origins, now: datetime
) -> tuple[Counter[ContactKey], list[Output]]:
    """Halt what still runs for contacts that go away; gives what `rejudge` gives. A run that is over stays as it is."""
    found, families = await _load(tx, dict.fromkeys(cuts, _STILL_RUNNING), {})
    told = {contact: families.cut(runs, cuts[contact]) for contact, runs in found.items()}
    return await _finish(tx, families, told, origins, now)


async def _load(
    tx: Connection, since: Mapping[ContactKey, datetime], histories: Histories
) -> tuple[dict[ContactKey, list[RunKey]], Families]:
    found = await workflows.of_contacts(tx, since)
    families = await lock_families(tx, found.keys(), (), histories)
    by_contact: dict[ContactKey, list[RunKey]] = {contact: [] for contact in sorted(since)}
    for (workspace_id, run_id), contact_id in found.items():
        if contact_id is not None:
            by_contact[workspace_id, contact_id].append((workspace_id, run_id))
    return by_contact, families


async def _finish(
    tx: Connection, families: Families, told: Mapping[ContactKey, Iterable[Telling]], origins: Origins, now: datetime
) -> tuple[Counter[ContactKey], list[Output]]:
    facts = [(telling, origins[contact]) for contact, tellings in told.items() for telling in tellings]
    halted = Counter(
        {contact: sum(t.fact.control == "run_halted" for t in tellings) for contact, tellings in told.items()}
    )
    return +halted, await save_and_tell(tx, families, facts, now)
