"""What billing does to the cycle with the most contacts: closes it, counts contacts again, adjusts, verifies."""

import time
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from contextlib import asynccontextmanager
from datetime import UTC, datetime
from typing import Any, Final, NamedTuple
from uuid import UUID

from pydantic import SecretStr

from benchmarks.reading.data import Filled
from workers.app.settings import Settings
from workers.billing.closing import adjust_closed
from workers.billing.on_time import count_on_time
from workers.cli.mac_verify import verify
from workers.rules.cycles import Cycle
from workers.store import closing, mac, workspaces
from workers.store.closing import OpenCycle
from workers.store.connection import Connection
from workers.store.mac import LateFact
from workers.store.pool import pool_of

_WORKSPACE: Final = "acme"
_LARGEST: Final = """
    SELECT c.cycle_start, c.cycle_end FROM mac_cycles c JOIN mac_shards s USING (workspace_id, cycle_start)
    WHERE c.workspace_id = $1 GROUP BY 1, 2 ORDER BY sum(s.active_contacts) DESC LIMIT 1
"""
_SOME: Final = (
    "SELECT contact_id FROM mac_contacts WHERE workspace_id = $1 AND cycle_start = $2 ORDER BY contact_id LIMIT $3"
)


class Duration(NamedTuple):
    """What was done, and how long that took in milliseconds."""

    what: str
    ms: float


async def measured(data: Filled) -> list[Duration]:
    """Measures each part in a transaction that is rolled back."""
    async with pool_of(data.url, name="billing") as pool:
        found = [
            Duration("close a cycle (messages wait)", await _median(pool, _close)),
            Duration("count 500 contacts by the facts on time", await _median(pool, _settle)),
            Duration("adjust for 1,000 late facts", await _median(pool, _adjust)),
        ]
    began = time.perf_counter()
    await verify(Settings(database_url=SecretStr(data.url)), _WORKSPACE, None, 10)
    found.append(Duration("verify the workspace, all cycles", _ms(began)))
    return found


async def _median(pool: Any, work: Callable[[Connection], Awaitable[float]]) -> float:
    times = []
    for _ in range(3):
        async with _rolled_back(pool) as tx:
            times.append(await work(tx))
    return sorted(times)[1]


@asynccontextmanager
async def _rolled_back(pool: Any) -> AsyncIterator[Connection]:
    async with pool.acquire() as connection:
        transaction = connection.transaction()
        await transaction.start()
        try:
            yield connection
        finally:
            await transaction.rollback()


async def _cycle(tx: Connection) -> OpenCycle:
    cycle = Cycle(*await tx.fetchrow(_LARGEST, _WORKSPACE))
    return OpenCycle(_WORKSPACE, cycle, datetime.now(UTC))


async def _some(tx: Connection, cycle: OpenCycle, number: int) -> Sequence[UUID]:
    return [row[0] for row in await tx.fetch(_SOME, _WORKSPACE, cycle.cycle.start, number)]


async def _close(tx: Connection) -> float:
    cycle = await _cycle(tx)
    began = time.perf_counter()
    await closing.exclude_others(tx)
    await closing.close(tx, [cycle])
    return _ms(began)


async def _settle(tx: Connection) -> float:
    cycle = await _cycle(tx)
    tenant = (await workspaces.share(tx, {(_WORKSPACE, "", "")}))[_WORKSPACE]
    contacts = await _some(tx, cycle, 500)
    began = time.perf_counter()
    await count_on_time(tx, tenant, cycle, contacts)
    return _ms(began)


async def _adjust(tx: Connection) -> float:
    cycle = await _cycle(tx)
    await closing.close(tx, [cycle])
    contacts = await _some(tx, cycle, 1_000)
    await mac.leave_late(tx, [LateFact(_WORKSPACE, cycle.cycle, c, "late_message", str(c)) for c in contacts])
    began = time.perf_counter()
    await adjust_closed(tx, datetime.now(UTC))
    return _ms(began)


def _ms(began: float) -> float:
    return round(1_000 * (time.perf_counter() - began), 1)
