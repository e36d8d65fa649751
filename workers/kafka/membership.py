"""Joins a consumer group and leaves it, also while joining. aiokafka leaves only a group that it has joined.

A member that disappears without leaving counts until its session time-out, and all others wait for it. While a member
joins, the broker holds its request, and every later request on that connection, until the others have joined as well.
So the request to leave uses another connection.
"""

import asyncio
from typing import Any, Final

import structlog
from aiokafka import AIOKafkaConsumer
from aiokafka import errors as kafka
from aiokafka.protocol.group import LeaveGroupRequest

from workers.kafka.connection import Kafka, PollLimits

REBALANCE_TIMEOUT_MS: Final = 60_000
_SAID_AFTER_S: Final = 5.0
_PROMPT_S: Final = 0.25

log = structlog.get_logger()


async def started_member(group: str, cluster: Kafka, limits: PollLimits) -> AIOKafkaConsumer:
    """A started consumer, which becomes a member of the group once it subscribes. Raises as aiokafka."""
    member = AIOKafkaConsumer(
        group_id=group,
        enable_auto_commit=False,
        auto_offset_reset="none",
        session_timeout_ms=cluster.session_timeout_ms,
        heartbeat_interval_ms=min(3_000, cluster.session_timeout_ms // 3),
        rebalance_timeout_ms=REBALANCE_TIMEOUT_MS,
        max_poll_interval_ms=2**31 - 1,
        **limits.consumer(),
        **cluster.clients(group),
    )
    try:
        await member.start()
    except BaseException:
        await member.stop()
        raise
    return member


class Membership:
    """A started consumer as a member of its group."""

    def __init__(self, member: AIOKafkaConsumer, group: str, session_timeout_ms: int) -> None:
        self.consumer = member
        self._client: Any = member._client  # noqa: SLF001 - aiokafka tells nobody
        self._coordinator: Any = member._coordinator  # noqa: SLF001
        self._group = group
        self._session_s = session_timeout_ms / 1_000
        self._waiting: asyncio.TimerHandle | None = None

    def joins(self) -> None:
        """The member begins to join, perhaps again."""
        self.joined()
        log.info("Joining the consumer group.", action="joining", group=self._group)
        self._waiting = asyncio.get_running_loop().call_later(_SAID_AFTER_S, self._say)

    def joined(self) -> None:
        """The member has joined, or gives up."""
        if self._waiting is not None:
            self._waiting.cancel()
            self._waiting = None

    def _say(self) -> None:
        if self._coordinator.coordinator_id is None:
            what = "Kafka has not named the coordinator yet"
        else:
            what = (
                "its other members finish what they have in flight; one that was killed counts "
                f"for {self._session_s:g} s, its session time-out"
            )
        log.info(f"Still joining the consumer group: {what}.", action="waits_to_join", group=self._group)

    async def leave(self, within_s: float) -> "asyncio.Task[None]":
        """Stops the consumer. Returns the task that does so: it may not be done within the bound."""
        self.joined()
        loop = asyncio.get_running_loop()
        until = loop.time() + within_s
        stopping = asyncio.create_task(self.consumer.stop())
        logged: set[str] = set()
        while not stopping.done() and loop.time() < until:
            await asyncio.wait({stopping}, timeout=_PROMPT_S)
            name = self._coordinator.member_id
            if not stopping.done() and name and name not in logged:
                logged.add(name)
                await self._tell(name, until - loop.time())
        return stopping

    async def _tell(self, name: str, within_s: float) -> None:
        try:
            async with asyncio.timeout(max(0.0, within_s)):
                await self._client.send(self._coordinator.coordinator_id, LeaveGroupRequest(self._group, name))
        except (kafka.KafkaError, TimeoutError) as error:
            log.debug("The group did not learn that this member leaves.", action="not_left", error=repr(error))
