"""Inserts a row for every cycle since a workspace's first message, also for a month without messages (contract 5.4).

A poll inserts those that its messages begin. A job inserts the others.
"""

from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime, timedelta
from itertools import islice
from typing import Final

from workers.records import Event
from workers.rules.cycles import Cycle
from workers.services.job_runner import Job, Unfinished
from workers.store import mac, pending_work, workspaces
from workers.store.connection import Connection
from workers.store.workspaces import Beginning, Workspace

_STEP: Final = 200  # workspaces in one transaction
_CHANGES_AT_ONCE: Final = 10_000
_MONTH: Final = timedelta(days=31)
CYCLES_AT_ONCE: Final = 2_000
"""Maximum number of cycles that one transaction inserts besides those of its messages; the job `turn cycles` inserts
the others.
"""


def beginnings(
    seen: Iterable[tuple[str, datetime]], tenants: Mapping[str, Workspace], now: datetime
) -> tuple[list[Beginning], list[tuple[str, Cycle]]]:
    """The earliest event time of each workspace among (workspace_id, event time) pairs, if it is before the known first
    message; and the cycles that have a row from then on, if they are not too many for one transaction.
    """
    earliest: dict[str, datetime] = {}
    for workspace_id, at in seen:
        first = earliest.get(workspace_id) or tenants[workspace_id].first_message_at
        if first is None or at < first:
            earliest[workspace_id] = at
    begun: list[Beginning] = []
    cycles: list[tuple[str, Cycle]] = []
    for workspace_id, at in earliest.items():
        tenant, left = tenants[workspace_id], CYCLES_AT_ONCE - len(cycles)
        until = now if tenant.first_message_at is None else min(now, tenant.first_message_at)
        made: list[Cycle] = []
        if (until.year - at.year) * 12 <= left:  # most are not divided again, and counting these costs nothing
            made = [cycle for cycle, _ in islice(tenant.calendar.between(at, until), left + 1)]
        complete = 0 < len(made) <= left
        begun.append(Beginning(workspace_id, at, until if complete else None))
        cycles += [(workspace_id, cycle) for cycle in made] if complete else []
    return begun, cycles


async def add_cycles(tx: Connection, now: datetime) -> Sequence[Event] | Unfinished:
    """Inserts the cycles that began since the last message of each workspace, and those since an old first message."""
    ended = dict(await mac.without_current_cycle(tx, now, _STEP))
    late = await workspaces.without_cycles(tx, _STEP)
    if not ended and not late:
        return []
    tenants = await workspaces.share(
        tx, {(workspace_id, "", "") for workspace_id in [*ended, *(w for w, _, _ in late)]}
    )
    cycles = [(w, cycle) for w, end in ended.items() for cycle, _ in tenants[w].calendar.between(end, now)]
    since: dict[str, datetime] = {}
    for workspace_id, first, known in late:
        if len(cycles) >= pending_work.STEP:
            break
        made = _before(tenants[workspace_id], first, min(known or now, now), pending_work.STEP - len(cycles))
        cycles += [(workspace_id, cycle) for cycle in made]
        since[workspace_id] = max(first, made[0].start)
    await mac.add_cycles(tx, cycles)
    await workspaces.note_cycles(tx, since)
    return Unfinished()


def _before(tenant: Workspace, first: datetime, until: datetime, most: int) -> list[Cycle]:
    """The last cycles from `first` to `until`: at least one, and about `most`."""
    since = max(first, until - _MONTH * most)
    return [cycle for cycle, _ in tenant.calendar.between(since, max(since, until))]


async def sum_quarters(tx: Connection, _now: datetime) -> Sequence[Event] | Unfinished:
    """Sums up the changes that `mac_days` adds to its counts, so that it has few of them to read."""
    return Unfinished() if await mac.sum_quarters(tx, _CHANGES_AT_ONCE) == _CHANGES_AT_ONCE else []


JOBS: Final = (Job("turn cycles", 5, add_cycles), Job("sum counts by day", 5, sum_quarters))
