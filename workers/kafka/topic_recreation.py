"""Reacts to topic re-creation: a partition or topic id that a broker does not know may have been replaced by a new
topic of the same name.

aiokafka would continue at the old offset, and the records of the new topic before it would be lost silently. So when a
fetch fails because there is no such partition or topic id, later records do not count, and the member joins its group
again: the take-over checks whether the topic is the same. For a partition that only moved this costs a rebalance.
"""

import asyncio
from collections.abc import Callable
from typing import Any, Final

import structlog
from aiokafka import AIOKafkaConsumer

_PAUSE_S: Final = 1.0

log = structlog.get_logger()


class TopicRecreation:
    """Watches a started consumer. Calls `suspected` before any later record can be polled."""

    def __init__(self, member: AIOKafkaConsumer, suspected: Callable[[], None]) -> None:
        self._coordinator: Any = member._coordinator  # noqa: SLF001 - aiokafka has no other way to join again
        self._subscription: Any = member._subscription  # noqa: SLF001
        self._suspected = suspected
        self._joining: asyncio.TimerHandle | None = None
        self._joined_at = 0.0

    def arises(self) -> None:
        """Handles a fetch that failed because its partition or topic id does not exist."""
        self._suspected()
        # The take-over after a join that is under way checks the topic as well.
        if self._joining is None and not self._subscription.reassignment_in_progress:
            loop = asyncio.get_running_loop()
            self._joining = loop.call_at(max(loop.time(), self._joined_at + _PAUSE_S), self._join)

    def _join(self) -> None:
        self._joining, self._joined_at = None, asyncio.get_running_loop().time()
        log.warning(
            "A broker does not have a partition or topic any more; joining the group again.", action="joining_again"
        )
        self._coordinator.request_rejoin()
