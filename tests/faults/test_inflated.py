"""Batches that are small in Kafka and huge once inflated: memory stays bounded, and other partitions do not wait."""

from pathlib import Path

import msgspec
import pytest

from tests.acceptance.making import Maker, key_of
from tests.faults import making_floods
from tests.faults.process import WorkerProcess
from tests.faults.stage import Stage

pytestmark = pytest.mark.kafka


def peak_mib(worker: WorkerProcess) -> float:
    """The most memory that the process ever had."""
    status = Path(f"/proc/{worker.pid}/status").read_text()
    return int(status.split("VmHWM:")[1].split()[0]) / 1024


async def test_whatever_batches_inflate_to_memory_stays_and_the_others_go_on(everything: Stage) -> None:
    [worker] = await everything.start_ready()
    quiet, letters = peak_mib(worker), 0
    batches = making_floods.inflating()
    for topic in making_floods.INFLATED:
        for partition, each, count in batches:
            await everything.broker.produce_batch(topic, each, partition=partition)
            letters += count
    maker = Maker("acme")
    good = [maker.message(f"{n}", address=f"+4915100{n:06}") for n in range(200)]
    await everything.broker.produce("messages.inbound", [(key_of(one), msgspec.json.encode(one)) for one in good])
    await everything.broker.caught_up(everything.pool, *making_floods.INFLATED, timeout_s=120)
    peak = peak_mib(worker)
    assert await everything.stop() == [0]

    assert await everything.pool.fetchval("SELECT count(*) FROM sluice.conversation_messages") == len(good)
    assert await everything.pool.fetchval("SELECT count(*) FROM sluice.dead_letters") == letters
    assert peak < 256, f"{quiet:.0f} MiB at rest, {peak:.0f} at most"
