"""Sends messages as a connector does, and reads them with SQL; everything from outside."""

import asyncio
import time
from collections.abc import Mapping
from datetime import UTC, datetime
from pathlib import Path
from uuid import uuid4

import asyncpg
import msgspec
from aiokafka import AIOKafkaProducer
from confluent_kafka import Producer

TOPIC = "messages.inbound"
KEY = b"acme:whatsapp:+4915112345678"


def message(address: str = "+4915112345678") -> bytes:
    now = datetime.now(UTC)
    return msgspec.json.encode(
        {
            "workspace_id": "acme",
            "channel_id": "wa-main",
            "channel": "whatsapp",
            "provider_message_id": uuid4().hex,
            "sender": {"address": address, "name": "Ada"},
            "sent_at": now,
            "received_at": now,
            "kind": "message",
            "content": {"type": "text", "text": "hello"},
        }
    )


def read_env(path: Path) -> dict[str, str]:
    """An env file by its own rules alone: NAME=value lines."""
    return dict(line.split("=", 1) for line in path.read_text(encoding="utf-8").splitlines())


def send_with_librdkafka(bootstrap: str, count: int = 1, value: bytes | None = None) -> None:
    """Sends messages, or `value` in their place."""
    producer = Producer({"bootstrap.servers": bootstrap})
    for _ in range(count):
        producer.produce(TOPIC, key=KEY, value=value or message())
    assert producer.flush(10) == 0


async def send_with_aiokafka(bootstrap: str, count: int = 1, prefix: str = "") -> None:
    async with AIOKafkaProducer(bootstrap_servers=bootstrap) as producer:
        for number in range(count):
            address = f"+49151{number % 500:08}"
            await producer.send(prefix + TOPIC, message(address), f"acme:whatsapp:{address}".encode())


async def shown(database: str) -> int:
    """How many messages the conversations show."""
    connection = await asyncpg.connect(database)
    try:
        return int(await connection.fetchval("SELECT count(*) FROM sluice.conversation_messages"))
    finally:
        await connection.close()


async def seconds_until_shown(database: str, count: int, timeout_s: float = 20.0) -> float:
    """Waits until so many messages are shown.

    Raises:
        AssertionError: it took too long.
    """
    started = time.monotonic()
    while (found := await shown(database)) < count:
        assert time.monotonic() - started < timeout_s, f"{found} of {count} messages"
        await asyncio.sleep(0.01)
    return time.monotonic() - started


def servers_of(env: Mapping[str, str]) -> tuple[str, str]:
    return env["SLUICE_DATABASE_URL"], env["SLUICE_KAFKA_BOOTSTRAP"]
