"""Generations of messages: one is open and takes new messages; older ones are closed, and then sealed.

A transaction that stores messages shares an advisory lock from the look-up to its end (`look_up_messages` in
repeatable/60_messages.sql). A transaction that opens a generation holds the lock alone. So a transaction that stores
into a generation sees everything in the older ones, and the primary key decides among transactions that store into the
same one. Both take the lock in a separate statement, because the next statement must see what was committed during the
wait.

The fingerprints of a closed generation and its seal are committed together. A look-up reads the generations without a
seal first: one that is sealed meanwhile is read twice, and none is missed.
"""

from typing import Final

import asyncpg

from workers.store.connection import Connection
from workers.store.long_work import take_time
from workers.store.queries import load

_SQL = load("message_generations")

_SEALING_S: Final = 600.0  # a limit; half a million messages take about one second


async def open_next(tx: Connection, full_bytes: int) -> bool:
    """Opens another generation if the primary key has grown by `full_bytes` since the last one. Returns whether it did.

    Gives up if the transactions in progress do not end soon; the next call tries again.
    """
    if not await tx.fetchval(_SQL["is_full"], full_bytes):
        return False
    try:
        async with tx.transaction():
            await tx.execute(_SQL["lock_for_opening"])
            # Another process may have opened one during the wait.
            if not await tx.fetchval(_SQL["is_full"], full_bytes):
                return False
            await tx.execute(_SQL["close"])
            await tx.execute(_SQL["open"])
    except asyncpg.LockNotAvailableError:
        return False
    return True


async def seal(tx: Connection) -> bool:
    """Stores the fingerprints of the oldest closed generation that has none. Returns whether there was one."""
    generation = await tx.fetchval(_SQL["to_seal"])
    if generation is None:
        return False
    await take_time(tx)  # for a generation that grew while upkeep was away
    await tx.execute(_SQL["seal"], generation, timeout=_SEALING_S)
    await tx.execute(_SQL["note_sealed"], generation, timeout=_SEALING_S)
    return True
