"""Joining the group: it is told, and who stops while it joins leaves at once."""

import asyncio
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import pytest
from aiokafka import AIOKafkaConsumer, ConsumerRebalanceListener
from aiokafka.admin import AIOKafkaAdminClient
from structlog.testing import capture_logs

from tests.runtime.ledgerbook import TOPIC
from tests.support.brokers import Broker
from workers.kafka.connection import PollLimits
from workers.kafka.consumer import KafkaInput
from workers.runtime.ports import Assigned, Idle, Stopping

pytestmark = pytest.mark.kafka


class _Busy(ConsumerRebalanceListener):
    """Hands over only when it is told to: everybody who joins waits for it."""

    def __init__(self) -> None:
        self.asked = asyncio.Event()
        self.done = asyncio.Event()

    async def on_partitions_revoked(self, revoked: Any) -> None:
        if revoked:
            self.asked.set()
            await self.done.wait()

    def on_partitions_assigned(self, assigned: Any) -> None: ...


@asynccontextmanager
async def busy(broker: Broker, group: str) -> AsyncIterator[_Busy]:
    await broker.create(TOPIC)
    listener = _Busy()
    consumer = AIOKafkaConsumer(
        bootstrap_servers=broker.bootstrap,
        group_id=group,
        heartbeat_interval_ms=200,
        rebalance_timeout_ms=60_000,
        session_timeout_ms=30_000,
    )
    await consumer.start()
    try:
        consumer.subscribe([broker.topic_prefix + TOPIC], listener=listener)
        async with asyncio.timeout(30):
            while not consumer.assignment():  # noqa: ASYNC110 - the listener is called before it is there
                await asyncio.sleep(0.05)
        yield listener
    finally:
        listener.done.set()
        await consumer.stop()


async def members(broker: Broker, group: str) -> int:
    admin = AIOKafkaAdminClient(bootstrap_servers=broker.bootstrap)
    await admin.start()
    try:
        answer: Any = (await admin.describe_consumer_groups([group]))[0]
        [described] = answer.groups
        return len(described[-2 if answer.API_VERSION >= 3 else -1])
    finally:
        await admin.close()


async def test_who_stops_while_it_joins_leaves_the_group_at_once(kafka: Broker) -> None:
    group = f"{kafka.group_prefix}-input"
    async with busy(kafka, group) as other:
        input_ = KafkaInput(kafka.cluster(), group, [TOPIC], PollLimits(wait_ms=100))
        await input_.start()
        asking = asyncio.create_task(input_.next())
        await asyncio.wait_for(other.asked.wait(), 30)
        assert await members(kafka, group) == 2

        began = time.monotonic()
        input_.stop_polling()
        assert await asyncio.wait_for(asking, 5) == Stopping()
        await input_.stop()
        assert time.monotonic() - began < 5
        assert await members(kafka, group) == 1


async def test_it_is_told_that_it_joins_and_what_it_waits_for(kafka: Broker, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("workers.kafka.membership._SAID_AFTER_S", 0.3)
    group = f"{kafka.group_prefix}-input"
    with capture_logs() as logs:
        async with busy(kafka, group) as other:
            input_ = KafkaInput(kafka.cluster(), group, [TOPIC], PollLimits(wait_ms=100))
            await input_.start()
            asking = asyncio.create_task(input_.next())
            async with asyncio.timeout(30):
                while not [log for log in logs if log["action"] == "waits_to_join"]:  # noqa: ASYNC110
                    await asyncio.sleep(0.05)
            other.done.set()
            event = await asyncio.wait_for(asking, 30)
            while isinstance(event, Idle):
                event = await asyncio.wait_for(input_.next(), 30)
            assert isinstance(event, Assigned)
            await asyncio.sleep(0.5)  # nothing more is said once it has joined
            await input_.stop()
    said = [log for log in logs if log["action"] in ("joining", "waits_to_join")]
    assert [(log["action"], log["group"]) for log in said] == [("joining", group), ("waits_to_join", group)]
    assert "its other members" in said[1]["event"]
    assert "30 s" in said[1]["event"]
