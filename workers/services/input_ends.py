"""Reads the ends of the input partitions from Kafka into the database, for closing and for what is still unread.

An idle partition has no record that shows that a closing instant is past. Its end does, once it was read some minutes
after the instant and everything before it is applied.
"""

from typing import Final

import structlog
from asyncpg import Pool

from schemas.topics import INPUTS
from workers.errors import Unreachable
from workers.kafka.connection import Kafka
from workers.kafka.operator_queries import bounds
from workers.services.leased import LEASE_S, LeasedService, transaction
from workers.store import closing, leases
from workers.store.connection import transaction_time

_EVERY_S: Final = 5.0
_WAITING_S: Final = 2.0
"""The same while a cycle is past its closing instant."""

log = structlog.get_logger()


class InputEnds(LeasedService):
    """Reads the ends while it has the lease; a service of the supervisor."""

    def __init__(self, pool: Pool, cluster: Kafka, unreachable_after_s: float = 60.0) -> None:
        super().__init__("input ends", pool, _WAITING_S, unreachable_after_s)
        self._cluster = cluster

    async def _round(self) -> float:
        async with transaction(self._pool) as tx:
            due_in = await leases.take(tx, self.name, self._holder, LEASE_S)
            before = await transaction_time(tx)
        self.consuming.set()
        if due_in is None:
            return _EVERY_S
        try:
            found = await bounds(self._cluster, [topic.name for topic in INPUTS])
        except Unreachable as error:  # another service of the process tells, and ends it if that lasts
            log.debug("The ends of the input cannot be read; trying again.", action="ends_not_read", error=str(error))
            return _WAITING_S
        async with transaction(self._pool) as tx:
            await closing.save_ends(tx, {source: end for source, (_, end) in found.items()}, before)
            return _WAITING_S if await closing.is_waiting(tx) else _EVERY_S
