"""A member whose topic may have been created again joins its group again."""

import asyncio
from collections.abc import Collection

from aiokafka import ConsumerRebalanceListener, TopicPartition
from structlog.testing import capture_logs

from tests.runtime.ledgerbook import TOPIC
from tests.support.brokers import Broker
from workers.kafka.connection import PollLimits
from workers.kafka.membership import started_member
from workers.kafka.topic_recreation import TopicRecreation


class RefusedWhileJoining(ConsumerRebalanceListener):
    """Whenever partitions are revoked, one more fetch for them is refused."""

    def __init__(self, recreation: TopicRecreation) -> None:
        self.assigned = asyncio.Event()
        self._recreation = recreation

    def on_partitions_revoked(self, revoked: Collection[TopicPartition]) -> None:
        if revoked:
            self._recreation.arises()

    def on_partitions_assigned(self, _assigned: Collection[TopicPartition]) -> None:
        self.assigned.set()


async def test_a_fetch_that_is_refused_while_the_member_joins_causes_no_other_join(broker: Broker) -> None:
    await broker.create(TOPIC)
    member = await started_member("g", broker.cluster(), PollLimits())
    suspected: list[None] = []
    recreation = TopicRecreation(member, lambda: suspected.append(None))
    listener = RefusedWhileJoining(recreation)
    try:
        member.subscribe(topics=[TOPIC], listener=listener)
        await asyncio.wait_for(listener.assigned.wait(), 30)
        listener.assigned.clear()
        with capture_logs() as logs:
            recreation.arises()
            await asyncio.wait_for(listener.assigned.wait(), 30)
        assert recreation._joining is None  # noqa: SLF001
        assert [line["action"] for line in logs] == ["joining_again"]
        assert len(suspected) == 2
    finally:
        await member.stop()
