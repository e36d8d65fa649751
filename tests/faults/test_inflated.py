"""Batches that are small in Kafka and huge once inflated: memory stays bounded, and other partitions do not wait."""

from pathlib import Path
from typing import Final

import msgspec
import pytest

from tests.acceptance.making import Maker, key_of
from tests.faults.process import WorkerProcess
from tests.faults.stage import Stage
from tests.support.batches import batch, record
from tests.support.bombs import CODECS, MIB, bomb, flood, squeezed
from workers.kafka.inflating import INFLATED_AT_MOST

pytestmark = pytest.mark.kafka

TOPICS: Final = ("messages.inbound", "messages.outbound", "contacts.commands", "workflows.events")


def peak_mib(worker: WorkerProcess) -> float:
    """The most memory that the process ever had."""
    status = Path(f"/proc/{worker.pid}/status").read_text()
    return int(status.split("VmHWM:")[1].split()[0]) / 1024


def _batches() -> list[tuple[int, bytes, int]]:
    """Partition, batch, and how many dead letters it makes."""
    # Snappy makes a twentieth of what it is given at best, and a topic takes two mebibytes.
    large = [
        bomb(codec, 40 * MIB if number == CODECS["snappy"] else INFLATED_AT_MOST) for codec, number in CODECS.items()
    ]
    many = squeezed("zstd", (record(n, b"x" * 250_000) for n in range(30)))
    return [
        *((number, each, 1) for number, each in enumerate(large)),
        (len(large), bomb("zstd", 900 * MIB), 1),
        (len(large) + 1, bomb("lz4", 200 * MIB), 1),
        *((partition, batch(0, many, 30, attributes=CODECS["zstd"]), 30) for partition in (7, 8, 9)),
        *((partition, batch(0, flood(200_000), 1), 1) for partition in (9, 10)),
        (11, batch(0, flood(500_000), 1), 1),
    ]


async def test_whatever_batches_inflate_to_memory_stays_and_the_others_go_on(everything: Stage) -> None:
    [worker] = await everything.start_ready()
    quiet, letters = peak_mib(worker), 0
    batches = _batches()
    for topic in TOPICS:
        for partition, each, count in batches:
            await everything.broker.produce_batch(topic, each, partition=partition)
            letters += count
    maker = Maker("acme")
    good = [maker.message(f"{n}", address=f"+4915100{n:06}") for n in range(200)]
    await everything.broker.produce("messages.inbound", [(key_of(one), msgspec.json.encode(one)) for one in good])
    await everything.broker.caught_up(everything.pool, *TOPICS, timeout_s=120)
    peak = peak_mib(worker)
    assert await everything.stop() == [0]

    assert await everything.pool.fetchval("SELECT count(*) FROM sluice.conversation_messages") == len(good)
    assert await everything.pool.fetchval("SELECT count(*) FROM sluice.dead_letters") == letters
    assert peak < 256, f"{quiet:.0f} MiB at rest, {peak:.0f} at most"
