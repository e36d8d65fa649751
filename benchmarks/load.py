"""The load: inbound messages of about 480 bytes from a fixed crowd of contacts, the same for everyone measured."""

import asyncio
import random
from datetime import UTC, datetime, timedelta
from typing import Any, Final

import msgspec
from aiokafka import AIOKafkaProducer
from aiokafka.admin import AIOKafkaAdminClient, NewTopic

PARTITIONS: Final = 12
CONTACTS: Final = 10_000
TOPIC: Final = "messages.inbound"
_TEXT: Final = (
    "Hello, I ordered the blue chair last week and it has not arrived yet. Could you tell me where it is? "
    "The number of the order is {n}."
)


def message(n: int, start: datetime, random_: random.Random) -> tuple[bytes, bytes]:
    """Key and value of the n-th message."""
    contact = random_.randrange(CONTACTS)
    address = f"+49151{10_000_000 + contact}"
    received = start + timedelta(milliseconds=n)
    value = {
        "workspace_id": "acme",
        "channel_id": "wa-main",
        "channel": "whatsapp",
        "provider_message_id": f"wamid.HBgM{n:028d}",
        "sender": {"address": address, "name": f"Customer {contact}", "language": "de"},
        "sent_at": received - timedelta(seconds=1),
        "received_at": received,
        "content": {"type": "text", "text": _TEXT.format(n=n)},
    }
    return f"acme:whatsapp:{address}".encode(), msgspec.json.encode(value)


async def create_topics(bootstrap: str, prefix: str, *topics: str) -> None:
    admin = AIOKafkaAdminClient(bootstrap_servers=bootstrap)
    await admin.start()
    try:
        await admin.create_topics([NewTopic(prefix + topic, PARTITIONS, 1) for topic in topics])
    finally:
        await admin.close()


async def fill(bootstrap: str, topic: str, count: int, *, first: int = 0) -> int:
    """Produce `count` messages; returns how many bytes their values have."""
    start = datetime.now(UTC) - timedelta(hours=1)
    random_ = random.Random(first)
    producer: Any = AIOKafkaProducer(bootstrap_servers=bootstrap, linger_ms=20, max_batch_size=262_144)
    await producer.start()
    size = 0
    try:
        for n in range(first, first + count):
            key, value = message(n, start, random_)
            size += len(value)
            await producer.send(topic, value, key)
            if n % 2_000 == 0:
                await asyncio.sleep(0)
        await producer.flush()
    finally:
        await producer.stop()
    return size
