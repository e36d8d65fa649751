"""The database's clock: the one clock that timed decisions go by."""

from datetime import datetime

from workers.runtime.batch import Connection


async def now(tx: Connection) -> datetime:
    """The time at which the transaction began."""
    moment: datetime = await tx.fetchval("SELECT now()")
    return moment
