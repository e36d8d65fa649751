"""Polls of a cluster that is gone are as empty as those of a quiet one: now and then it is asked."""

import asyncio
from typing import Final

from aiokafka import AIOKafkaConsumer
from aiokafka.errors import KafkaError

from workers.runtime.freshness import Polled
from workers.runtime.patience import Patience

_BOUND_S: Final = 10.0


class Pulse:
    """Whether a cluster is there."""

    def __init__(self, unreachable_after_s: float) -> None:
        self._patience = Patience(unreachable_after_s, "Kafka did not answer")
        self._every_s = unreachable_after_s / 4
        self._due_at = 0.0

    async def feel(self, consumer: AIOKafkaConsumer, polled: Polled) -> None:
        """To be called after each poll, with what it brought.

        Raises:
            Unreachable: the cluster has not answered for the bound.
        """
        now = asyncio.get_running_loop().time()
        if not polled and now < self._due_at:
            return
        self._due_at = now + self._every_s
        try:
            if not polled:
                async with asyncio.timeout(_BOUND_S):
                    await consumer.topics()
        except (KafkaError, TimeoutError) as error:
            self._patience.bear(error)
        else:
            self._patience.answered()
