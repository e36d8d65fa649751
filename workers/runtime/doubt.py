"""A partition that its broker does not know may come back as another one: of a topic made anew under its old name.

aiokafka would read on at the old offset, and what the new topic holds before it would be lost in silence. So when a
fetch is told that its partition is not there, what is read from then on does not count, and we join the group again:
the take-over looks whether the topic is the one we knew. A partition that only moved costs a rebalance.
"""

import asyncio
from collections.abc import Callable
from typing import Any, Final

import structlog
from aiokafka import AIOKafkaConsumer
from aiokafka import errors as kafka

_FETCH: Final = 1
_NOT_THERE: Final = frozenset({kafka.UnknownTopicOrPartitionError.errno, kafka.NotLeaderForPartitionError.errno})
_PAUSE_S: Final = 1.0

log = structlog.get_logger()


class Doubt:
    """Watches what a started consumer is answered; `doubted` is called before anything of the answer can be polled."""

    def __init__(self, member: AIOKafkaConsumer, doubted: Callable[[], None]) -> None:
        self._coordinator: Any = member._coordinator  # noqa: SLF001 - aiokafka tells nobody but its log
        self._send: Any = member._client.send  # noqa: SLF001
        member._client.send = self._watched  # type: ignore[method-assign]  # noqa: SLF001
        self._doubted = doubted
        self._joining: asyncio.TimerHandle | None = None
        self._joined_at = 0.0

    async def _watched(self, node_id: Any, request: Any, **others: Any) -> Any:
        response = await self._send(node_id, request, **others)
        if response.API_KEY == _FETCH and _not_there(response):
            self._doubted()
            if self._joining is None:
                loop = asyncio.get_running_loop()
                self._joining = loop.call_at(max(loop.time(), self._joined_at + _PAUSE_S), self._join)
        return response

    def _join(self) -> None:
        self._joining, self._joined_at = None, asyncio.get_running_loop().time()
        log.warning("A partition is not where it was; joining the group again.", action="joining_again")
        self._coordinator.request_rejoin()


def _not_there(response: Any) -> bool:
    return any(code in _NOT_THERE for _, partitions in response.topics for _, code, *_ in partitions)
