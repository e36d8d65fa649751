"""Generations of messages: one is open and takes what is stored, those before it are closed, and then sealed.

Who stores messages shares an advisory lock from the look-up to the end (`look_up_messages` in 0022_one_by_one.sql);
who opens another generation holds it alone. So whoever stores into a generation sees everything that was stored into
those before it, and the primary key decides among those that store into the same one. Both sides take the lock in a
statement of its own: what follows must see what was committed during the wait.

The prints of a closed generation and the mark that it is sealed are committed together, and a look-up goes through the
generations without the mark first: one that is sealed meanwhile is looked into twice, and none not at all.
"""

from typing import Final

import asyncpg

from workers.runtime.batch import Connection
from workers.store.long_work import take_time
from workers.store.queries import load

_SQL = load("generations")

_SEALING_S: Final = 600.0  # at most; half a million messages take about one second


async def turn(tx: Connection, full_bytes: int) -> bool:
    """Open another generation if the primary key has grown by `full_bytes` since the last one; was it opened?

    Not if transactions under way do not end soon: then it is for the next time.
    """
    if not await tx.fetchval(_SQL["is_full"], full_bytes):
        return False
    try:
        async with tx.transaction():
            await tx.execute(_SQL["wait_for_storers"])
            # Somebody else may have opened one during the wait.
            if not await tx.fetchval(_SQL["is_full"], full_bytes):
                return False
            await tx.execute(_SQL["close"])
            await tx.execute(_SQL["open"])
    except asyncpg.LockNotAvailableError:
        return False
    return True


async def seal(tx: Connection) -> bool:
    """Keep prints of the oldest closed generation that has none; was there one?"""
    generation = await tx.fetchval(_SQL["to_seal"])
    if generation is None:
        return False
    await take_time(tx)  # one that grew while upkeep was away
    await tx.execute(_SQL["seal"], generation, timeout=_SEALING_S)
    await tx.execute(_SQL["note_sealed"], generation, timeout=_SEALING_S)
    return True
