"""Verifies a workspace as billing does."""

from datetime import datetime
from typing import Any

from asyncpg import Pool

from tests.workers.records import WORKSPACE
from workers.billing import verifying
from workers.rules.verifying import Difference
from workers.store.connection import Connection


async def differences(
    tx: Connection, now: datetime, *, workspace: str = WORKSPACE, cycle: datetime | None = None, at_once: int = 1_000
) -> list[Difference]:
    """All differences, by parts of so many contacts."""
    await tx.execute("SET LOCAL ROLE sluice_billing")
    scope = await verifying.scope(tx, workspace, cycle, now)
    found = [d for start in scope.starts for d in await verifying.verify_cycle(tx, scope, start, 100)]
    first = verifying.FIRST_CONTACT
    while first is not None:
        more, first = await verifying.verify_contacts(tx, scope, first, at_once, 100)  # type: ignore[assignment]
        found += more
    done: int | None = 0
    while done is not None:
        more, done = await verifying.verify_families(tx, scope, done, at_once)
        found += more
    await tx.execute("RESET ROLE")
    return found


async def verified(pool: Pool, now: datetime, **options: Any) -> list[Difference]:
    """The same in a transaction of its own."""
    async with pool.acquire() as tx, tx.transaction():
        return await differences(tx, now, **options)
