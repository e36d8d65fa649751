"""A connection to PostgreSQL: its type, its clock, whether it has ended, and how many rows a statement changed."""

from datetime import datetime

import asyncpg.exceptions as pg
from asyncpg.pool import PoolConnectionProxy

Connection = PoolConnectionProxy


def is_gone(connection: Connection) -> bool:
    """Whether a connection has ended, as far as this process knows."""
    try:
        return bool(connection.is_closed())
    except pg.InterfaceError:
        # A pooled connection that ended during use went back to the pool, and its methods raise.
        return True


async def transaction_time(tx: Connection) -> datetime:
    """The time at which the transaction began, by the database's clock: timed decisions use no other clock."""
    moment: datetime = await tx.fetchval("SELECT now()")
    return moment


def changed_rows(status: str) -> int:
    """The number of rows, from PostgreSQL's answer to a statement: `INSERT 0 5`, `UPDATE 5`, `DELETE 5`."""
    return int(status.rsplit(" ", 1)[1])
