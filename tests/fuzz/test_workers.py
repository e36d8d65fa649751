"""Two thousand fuzzed records through real Kafka and every worker: each is applied or a dead letter, and no worker
stops.
"""

from collections import defaultdict
from typing import Final

import pytest

from schemas.decoding import BadRecord
from schemas.topics import INPUTS
from tests.acceptance.stage import Stage, Workspace, set_stage
from tests.fuzz.records import Fuzzed, fuzzed, wire_record
from tests.schemas.samples import golden, raw
from tests.schemas.test_properties import DECODERS
from tests.support.batches import batch
from tests.support.brokers import Broker, Sent
from tests.support.databases import Databases

pytestmark = pytest.mark.kafka

COUNT: Final = 2_000
SEED: Final = 14
ANY_TIME: Final = {
    "message.timestamp.type": "CreateTime",
    "message.timestamp.after.max.ms": str(2**63 - 1),
    "message.timestamp.before.max.ms": str(2**63 - 1),
}
"""What `sluice topics` does not make: a producer's times reach the workers."""
_PARTITIONS: Final = 4
_IN_A_BATCH: Final = 100
_NOW_MS: Final = 1_795_951_200_000

Place = tuple[str, int, int]


async def test_no_record_stops_a_worker(kafka: Broker, databases: Databases) -> None:
    await kafka.create(*(topic.name for topic in INPUTS), partitions=_PARTITIONS, configs=ANY_TIME)
    async with databases.migrated() as url, set_stage(kafka, url) as stage:
        bad = await _produce(stage)
        await stage.applied()
        workspace = Workspace(stage, "sane")
        await workspace.play(workspace.message("still there"))

        [message] = await workspace.rows("conversation_messages")
        assert message["content"]["text"] == "still there"
        letters = await stage.pool.fetch(
            "SELECT source_topic, source_partition, source_offset, error FROM sluice.dead_letters"
        )
        assert {(topic, partition, offset) for topic, partition, offset, _ in letters} == bad


async def _produce(stage: Stage) -> set[Place]:
    """Returns where the bad ones are. Each has a good neighbour: half of them bad would stop the line."""
    records: dict[str, list[Fuzzed]] = defaultdict(list)
    for each in fuzzed(COUNT, SEED):
        records[each.topic] += [each, Fuzzed(each.topic, b"acme:golden", raw(golden(each.topic)), (), _NOW_MS)]
    bad: set[Place] = set()
    for topic, told in records.items():
        for start in range(0, len(told), _IN_A_BATCH):
            partition, part = start // _IN_A_BATCH % _PARTITIONS, told[start : start + _IN_A_BATCH]
            payload = b"".join(wire_record(number, each) for number, each in enumerate(part))
            sent = batch(0, payload, len(part), timestamp=0, newest=max(each.timestamp for each in part))
            first = await stage.broker.produce_batch(topic, sent, partition=partition)
            stage.remember(topic, Sent(partition, first + len(part) - 1))
            bad |= {(topic, partition, first + number) for number, each in enumerate(part) if _is_bad(each)}
    return bad


def _is_bad(record: Fuzzed) -> bool:
    unreadable = isinstance(DECODERS[record.topic](record.value), BadRecord)
    return unreadable or not all(_is_utf8(name) for name, _ in record.headers)


def _is_utf8(name: bytes) -> bool:
    try:
        name.decode()
    except UnicodeDecodeError:
        return False
    return True
