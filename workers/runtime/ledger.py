"""The engine's ledger: leases, progress and outbox, on one connection of its own.

It uses one connection because the leases record its backend: a next owner that finds a row locked ends exactly that
backend.
"""

from collections.abc import Collection, Sequence
from contextlib import suppress
from dataclasses import replace
from typing import Final
from uuid import uuid4

import structlog
from asyncpg import Pool
from asyncpg.exceptions import InterfaceError

from workers.process.failure_deadline import FailureDeadline
from workers.records import Lease, OutboxKey, OutboxRow, Partition, PartitionStep, TopicKey, Trial, UnpublishedEvent
from workers.runtime.bad_record_limit import WINDOW, is_bad
from workers.runtime.ports import Body, Effects, Probe, no_probe
from workers.store import batch_outbox, dead_letters, progress, unpublished
from workers.store.connection import Connection, is_gone
from workers.store.failures import Conflict, ConnectionLost, StoreFailure, TransactionWork, translated

TRANSACTION_S: Final = 25.0
"""How long a transaction may be at work: less than the server would let it."""
_REHEARSAL_S: Final = 5.0
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
        self._owner = progress.LeaseOwner(uuid4(), self._group, self._owner_name)

    async def open(self) -> None:
        """Takes a connection from the pool.

        Raises:
            Unreachable: the pool gave none within the bound.
        """
        deadline = FailureDeadline(self._unreachable_after_s, "PostgreSQL did not answer")
        await deadline.insist(self._open_once, (ConnectionLost, Conflict))

    async def _open_once(self) -> None:
        try:
            async with translated():
                self._held = await self._pool.acquire()
                self._transactions = 0
                await progress.adopt(self._held, self._owner.lease)
        except BaseException:
            await self.close()
            raise

    async def close(self) -> None:
        """Returns the connection."""
        held, self._held = self._held, None
        if held is not None:
            await self._pool.release(held)

    async def reconnect(self) -> None:
        """See the protocol. The state of the old connection is unknown, so it is not used again."""
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

    async def _living(self) -> Connection:
        """The connection, between transactions. Replaces one that died while it was idle."""
        if self._held is None or is_gone(self._held):
            await self.close()
            try:
                await self._open_once()
            except Conflict as error:
                raise ConnectionLost(str(error)) from error
            log.info("A connection to PostgreSQL had ended; there is a new one.", action="connection_renewed")
        return self._connection

    async def take(self, generation: int, source: Partition) -> Lease | None:
        """See the protocol. Ends a connection that holds the row locked for longer than a second: its worker was
        paused.
        """
        for _ in range(_LOCK_TRIES):
            connection = await self._living()
            try:
                async with translated(connection), connection.transaction():
                    lease = await progress.take(connection, self._owner, generation, source)
                    return None if lease is None else await _with_bad_records(connection, lease)
            except Conflict:
                async with translated(connection):
                    ended = await progress.end_holder(connection, source)
                log.warning(
                    "The partition's last owner holds its row; its connection was ended.",
                    action="zombie_ended",
                    topic=source.topic,
                    partition=source.partition,
                    ended=ended,
                )
        raise ConnectionLost(f"the row of {source.topic}[{source.partition}] stays locked")

    async def outbox(self, source: Partition) -> Sequence[OutboxRow]:
        """See the protocol."""
        connection = await self._living()
        async with translated(connection):
            return await batch_outbox.of_source(connection, source)

    async def transact(self, steps: Sequence[PartitionStep], body: Body, published: Sequence[OutboxKey]) -> Effects:
        """See the protocol; the numbers are those of the loop."""
        connection = await self._living()
        await self._renew_plans(connection)
        work = TransactionWork(lambda: is_gone(connection))
        async with work.interruptible(), translated(connection), connection.transaction():
            # 3. fence and advance
            advance = await progress.advance(connection, self._owner, steps)
            await self._probe("fenced")
            async with work.at_most(TRANSACTION_S):
                # 4. load, decide, save
                effects = await body(connection, advance)
                # 5. outbox
                if effects.dead:
                    await dead_letters.record(connection, effects.dead)
                if effects.outbox or published:
                    await batch_outbox.store_outbox(connection, self._owner.lease, effects.outbox, published)
                await self._probe("before_commit")
            # 6. COMMIT, at the end of the block
        return effects

    async def tries(self, source: Partition, tried: Trial | None) -> None:
        """See the protocol."""
        connection = await self._living()
        async with translated(connection):
            await progress.tries(connection, self._owner.lease, source, tried)

    async def sound(self) -> bool:
        """See the protocol."""
        try:
            connection = await self._living()
            work = TransactionWork(lambda: is_gone(connection))
            async with translated(connection), connection.transaction(), work.at_most(_REHEARSAL_S):
                await progress.rehearse(connection, self._owner.lease)
        except StoreFailure:
            return False
        return True

    async def _renew_plans(self, connection: Connection) -> None:
        # PostgreSQL keeps the plan of a statement from its sixth use on. A plan for an empty table reads all of it
        # until there are statistics. So plans are discarded each time the number of transactions has doubled.
        self._transactions += 1
        if self._transactions.bit_count() == 1:
            async with translated(connection):
                await progress.forget_plans(connection)

    async def earlier(self, keys: Collection[TopicKey]) -> Sequence[UnpublishedEvent]:
        """See the protocol."""
        async with translated(self._connection):
            return await unpublished.earlier(self._connection, keys)

    async def forget_published(self, keys: Sequence[OutboxKey]) -> None:
        """See the protocol."""
        connection = await self._living()
        async with translated(connection):
            await batch_outbox.forget_published(connection, self._owner.lease, keys)

    async def release(self) -> None:
        """See the protocol. The next assignment gets a new lease, also if the release fails: a late release must not
        release the next lease.
        """
        given_back = self._owner.lease
        self._renew()
        connection = await self._living()
        async with translated(connection):
            await progress.release(connection, given_back)


async def _with_bad_records(connection: Connection, lease: Lease) -> Lease:
    if lease.next_offset is None:
        return lease
    dead = await progress.dead_between(connection, lease.source, lease.next_offset - WINDOW, lease.next_offset)
    return replace(lease, bad=tuple(offset for offset, error in dead if is_bad(error)))
