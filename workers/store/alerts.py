"""Alerts about `mac_limit`: cycles that must be compared with it, and what was told."""

from collections.abc import Collection, Iterable, Sequence
from datetime import datetime
from typing import NamedTuple

from workers.store.arrays import columns
from workers.store.connection import Connection
from workers.store.queries import load

_SQL = load("alerts")


class LimitedCount(NamedTuple):
    """A cycle's count, the limit of its workspace, and the thresholds that were told, in percent."""

    workspace_id: str
    cycle_start: datetime
    active_contacts: int
    limit: int
    told: Sequence[int]


class ToldThreshold(NamedTuple):
    """A threshold that is told now."""

    workspace_id: str
    cycle_start: datetime
    threshold: int


async def counts_changed(tx: Connection, cycles: Collection[tuple[str, datetime]]) -> None:
    """Notes that these counts changed, where the workspace has a limit."""
    await tx.execute(_SQL["counts_changed"], *columns(sorted(cycles), 2))


async def limits_changed(tx: Connection, workspaces: Collection[str]) -> None:
    """Notes that the limits of these workspaces changed: all their open cycles must be compared."""
    if workspaces:
        await tx.execute(_SQL["limits_changed"], sorted(workspaces))


async def take_checks(tx: Connection, limit: int) -> list[tuple[str, datetime]]:
    """Takes out at most `limit` notes; a cycle may be there several times."""
    return [tuple(row) for row in await tx.fetch(_SQL["take_checks"], limit)]


async def limited_counts(tx: Connection, cycles: Iterable[tuple[str, datetime]]) -> list[LimitedCount]:
    """The present counts of these cycles, in order. Left out are deleted cycles, and workspaces without a limit."""
    rows = await tx.fetch(_SQL["limited_counts"], *columns(list(set(cycles)), 2))
    return [LimitedCount(*row) for row in rows]


async def note_told(tx: Connection, told: Sequence[ToldThreshold], now: datetime) -> None:
    """Notes what is told now, for the first time."""
    if told:
        await tx.execute(_SQL["note_told"], *columns(told, 3), now)
