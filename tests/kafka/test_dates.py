"""A worker warns at its start of input topics to which the broker does not write its time."""

import pytest
from structlog.testing import capture_logs

from schemas.topics import INPUTS
from tests.support.brokers import Broker
from workers.app import startup


async def said(broker: Broker, *topics: str) -> list[str]:
    with capture_logs() as logs:
        await startup.check_topics(broker.cluster(), topics, 10)
    lines = [log for log in logs if log["action"] == "create_time"]
    assert all("LogAppendTime" in log["event"] and log["log_level"] == "warning" for log in lines)
    return [log["topic"] for log in lines]


@pytest.mark.kafka
async def test_a_topic_that_its_producers_date_is_named(kafka: Broker) -> None:
    await kafka.create("messages.inbound", configs={"message.timestamp.type": "CreateTime"})
    await kafka.create("messages.receipts", configs={"message.timestamp.type": "LogAppendTime"})
    await kafka.create("messages.accepted", configs={"message.timestamp.type": "CreateTime"})
    found = await said(kafka, "messages.inbound", "messages.receipts", "messages.accepted")
    assert found == [f"{kafka.topic_prefix}messages.inbound"]


async def test_the_embedded_broker_has_nothing_to_say(broker: Broker) -> None:
    names = [spec.name for spec in INPUTS]
    await broker.create(*names)
    assert await said(broker, *names) == []
