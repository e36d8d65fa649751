"""Leases of timed jobs and publishers: one owner at a time, by the database's clock."""

from datetime import datetime
from typing import Final, NamedTuple
from uuid import UUID

from workers.process.identity import VERSION, runs_for_s
from workers.store.connection import Connection
from workers.store.queries import load

_QUERIES: Final = load("leases")


class Holder(NamedTuple):
    """Who takes leases; `token` is random and this process's own."""

    token: UUID
    owner: str


async def take(connection: Connection, name: str, holder: Holder, seconds: float, every_s: float = 0.0) -> float | None:
    """Takes or renews a lease for `seconds`.

    Returns None if another holder has it. Otherwise returns in how many seconds its work is due, `every_s` after the
    last run; 0 or less is now.
    """
    due_in: float | None = await connection.fetchval(
        _QUERIES["take"], name, holder.token, holder.owner, seconds, every_s, VERSION, runs_for_s()
    )
    return due_in


async def renew(connection: Connection, holder: Holder, seconds: float) -> None:
    """Renews all leases of this holder, for `seconds` from now."""
    await connection.execute(_QUERIES["renew"], holder.token, seconds)


async def lock_lease(connection: Connection, name: str, holder: Holder) -> datetime | None:
    """Locks the lease until the transaction ends and returns its time; None if it is no longer ours.

    A job's transaction begins with this, so a holder that lost the lease changes nothing.
    """
    now: datetime | None = await connection.fetchval(_QUERIES["hold"], name, holder.token)
    return now


async def ran(connection: Connection, name: str) -> None:
    """Records that the lease's work was done now."""
    await connection.execute(_QUERIES["ran"], name)


async def release(connection: Connection, holder: Holder) -> None:
    """Releases every lease of this holder at once."""
    await connection.execute(_QUERIES["release"], holder.token)
