"""The engine's store: leases, progress and what is owed, on one connection of its own.

One connection, because its backend is recorded with the leases: an heir that finds a row locked ends exactly that
backend and no other.
"""

import asyncio
from collections.abc import Collection, Sequence
from contextlib import suppress
from datetime import datetime
from typing import Final
from uuid import uuid4

import structlog
from asyncpg import Pool
from asyncpg.exceptions import InterfaceError

from workers.errors import Unreachable
from workers.runtime.batch import Connection, Source
from workers.runtime.ports import (
    Body,
    Earlier,
    Effects,
    Owed,
    OwedKey,
    Probe,
    Step,
    Taken,
    TopicKey,
    no_probe,
)
from workers.store import dead_letters, owed, progress, told
from workers.store.failures import Conflict, ConnectionLost, translated

_LOCK_TRIES: Final = 5

log = structlog.get_logger()


class PostgresLedger:
    """The `Ledger` of one worker. Not for concurrent use: the loop calls one method at a time."""

    def __init__(
        self,
        pool: Pool,
        consumer_group: str,
        owner: str,
        *,
        unreachable_after_s: float = 60.0,
        probe: Probe = no_probe,
    ) -> None:
        self._pool = pool
        self._group = consumer_group
        self._owner_name = owner
        self._unreachable_after_s = unreachable_after_s
        self._probe = probe
        self._held: Connection | None = None
        self._transactions = 0
        self._renew()

    def _renew(self) -> None:
        self._owner = progress.Owner(uuid4(), self._group, self._owner_name)

    async def open(self) -> None:
        """Takes the connection.

        Raises:
            Unreachable: none could be had within the bound.
        """
        deadline = asyncio.get_running_loop().time() + self._unreachable_after_s
        while True:
            try:
                async with translated():
                    self._held = await self._pool.acquire()
                    self._transactions = 0
                    await progress.adopt(self._held, self._owner.lease)
            except (ConnectionLost, Conflict) as error:
                await self.close()
                if asyncio.get_running_loop().time() >= deadline:
                    raise Unreachable(
                        f"PostgreSQL did not answer for {self._unreachable_after_s:g} s: {error}"
                    ) from error
                log.warning("PostgreSQL does not answer; trying again.", action="database_unreachable")
                await asyncio.sleep(min(1.0, self._unreachable_after_s / 10))
            else:
                return

    async def close(self) -> None:
        """Gives the connection back."""
        held, self._held = self._held, None
        if held is not None:
            await self._pool.release(held)

    async def reconnect(self) -> None:
        """See the protocol. What state the old connection is in is anybody's guess: it is not used again."""
        if self._held is not None:
            with suppress(InterfaceError):
                self._held.terminate()
        await self.close()
        await self.open()

    @property
    def _connection(self) -> Connection:
        if self._held is None:
            raise ConnectionLost("no connection")
        return self._held

    async def take(self, generation: int, source: Source) -> Taken | None:
        """See the protocol. Whoever holds the row locked for longer than a second is a zombie, and is ended."""
        for _ in range(_LOCK_TRIES):
            try:
                async with translated(self._connection), self._connection.transaction():
                    return await progress.take(self._connection, self._owner, generation, source)
            except Conflict:
                async with translated(self._connection):
                    ended = await progress.end_holder(self._connection, source)
                log.warning(
                    "The partition's last owner holds its row; its connection was ended.",
                    action="zombie_ended",
                    topic=source.topic,
                    partition=source.partition,
                    ended=ended,
                )
        raise ConnectionLost(f"the row of {source.topic}[{source.partition}] stays locked")

    async def owed(self, source: Source) -> Sequence[Owed]:
        """See the protocol."""
        async with translated(self._connection):
            return await owed.of_source(self._connection, source)

    async def transact(self, steps: Sequence[Step], body: Body, settled: Sequence[OwedKey]) -> Effects:
        """See the protocol; the numbers are those of the loop."""
        connection = self._connection
        await self._renew_plans(connection)
        async with translated(connection), connection.transaction():
            # 3. fence and advance
            now: datetime = await progress.advance(connection, self._owner.lease, steps)
            await self._probe("fenced")
            # 4. load, decide, save
            effects = await body(connection, now)
            # 5. owe
            if effects.dead:
                await dead_letters.record(connection, effects.dead)
            if effects.owed or settled:
                await owed.owe(connection, self._owner.lease, effects.owed, settled)
            await self._probe("before_commit")
            # 6. COMMIT, at the end of the block
        return effects

    async def _renew_plans(self, connection: Connection) -> None:
        # PostgreSQL keeps the plan of a statement from its sixth use on. Made for a table that was empty then, it reads
        # all of it until statistics are gathered: so plans are made anew each time the transactions have doubled.
        self._transactions += 1
        if self._transactions.bit_count() == 1:
            async with translated(connection):
                await progress.forget_plans(connection)

    async def earlier(self, keys: Collection[TopicKey]) -> Sequence[Earlier]:
        """See the protocol."""
        async with translated(self._connection):
            return await told.earlier(self._connection, keys)

    async def settle(self, keys: Sequence[OwedKey]) -> None:
        """See the protocol."""
        async with translated(self._connection):
            await owed.settle(self._connection, self._owner.lease, keys)

    async def release(self) -> None:
        """See the protocol. The next assignment gets a fresh lease, also where this one's end is not seen: what arrives
        late must not give back what is taken next.
        """
        given_back = self._owner.lease
        self._renew()
        async with translated(self._connection):
            await progress.release(self._connection, given_back)
