"""A worker stays within the memory limit of docker-compose.yml, whatever it reads."""

import re
from pathlib import Path
from typing import Final

import msgspec
import pytest
import yaml
from asyncpg import Pool
from confluent_kafka import Producer

from schemas.topics import TOPICS
from tests.cli.commands import Sluice
from tests.cli.sending import TOPIC, message
from tests.support.brokers import Broker
from workers.errors import ExitCode

COMPOSE: Final = Path(__file__).resolve().parents[2] / "docker-compose.yml"
_INFLATED: Final = 60 * 1024 * 1024


def allowed() -> float:
    """In MB."""
    services = yaml.safe_load(COMPOSE.read_text(encoding="utf-8"))["services"]
    found = re.fullmatch(r"(\d+)M", services["inbound"]["deploy"]["resources"]["limits"]["memory"])
    assert found is not None
    return float(found[1])


@pytest.mark.kafka
@pytest.mark.parametrize(("batches", "characters"), [(2, 200), (4, 200_000)])
async def test_batches_that_inflate_to_sixty_mebibytes_fit(
    database: str, pool: Pool, kafka: Broker, tmp_path: Path, batches: int, characters: int
) -> None:
    await kafka.create(*TOPICS)
    value = _with_text(characters)
    records = batches * _INFLATED // len(value)
    _produce(kafka, value, records)
    sluice = Sluice(
        tmp_path,
        DATABASE_URL=database,
        KAFKA_BOOTSTRAP=kafka.bootstrap,
        TOPIC_PREFIX=kafka.topic_prefix,
        GROUP_PREFIX=kafka.group_prefix,
    )
    with sluice.running("worker", "inbound") as running:
        running.until_consuming()
        await kafka.caught_up(pool, TOPIC)
        assert running.peak_memory() < allowed()
        assert running.stop().code == ExitCode.CLEAN


def _with_text(characters: int) -> bytes:
    fields = msgspec.json.decode(message())
    fields["content"]["text"] = "x" * characters
    return msgspec.json.encode(fields)


def _produce(kafka: Broker, value: bytes, records: int) -> None:
    """The same message so often, in as few batches as there can be."""
    producer = Producer(
        {
            "bootstrap.servers": kafka.bootstrap,
            "compression.type": "zstd",
            "batch.size": _INFLATED,
            "batch.num.messages": 1_000_000,
            "linger.ms": 1_000,
            "message.max.bytes": 2 * _INFLATED,
            "queue.buffering.max.messages": 2_000_000,
            "queue.buffering.max.kbytes": 1_000_000,
        }
    )
    failed: list[object] = []
    for _ in range(records):
        producer.produce(
            kafka.topic_prefix + TOPIC, value, b"acme:x", 0, on_delivery=lambda e, _m: failed.append(e) if e else None
        )
    assert producer.flush(60) == 0
    assert failed == []
