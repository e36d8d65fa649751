"""Kafka does not hold what the rows expect: the worker skips and doubles nothing silently."""

import asyncio
import signal
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from functools import partial
from pathlib import Path
from typing import Any, Final

import pytest
from aiokafka import AIOKafkaConsumer, TopicPartition
from aiokafka.admin import AIOKafkaAdminClient, RecordsToDelete
from aiokafka.admin.config_resource import ConfigResource, ConfigResourceType

from tests.faults import traffic
from tests.faults.books import Book, Scene, Scenes
from tests.faults.process import WorkerProcess
from tests.faults.proxy import Proxy, proxy
from tests.runtime.ledgerbook import OUTPUT, TOPIC
from tests.support.brokers import Broker
from tests.support.databases import Databases
from tests.support.kafka import Door, KafkaServer
from workers.errors import ExitCode

pytestmark = [pytest.mark.kafka, pytest.mark.timeout(240)]

_FIRST_PART: Final = 300


async def test_a_position_that_is_not_there_any_more_ends_the_worker_and_names_the_remedy(
    databases: Databases, cluster: KafkaServer, tmp_path: Path
) -> None:
    scenes: dict[str, Scene] = {
        "deleted": deleted,
        "deleted under way": partial(deleted_under_way, cluster=cluster),
        "retention": expired,
        "made anew and shorter": partial(made_anew, count=100),
        "made anew and longer": partial(made_anew, count=2 * _FIRST_PART),
        "made anew between two fetches": partial(made_anew_between_two_fetches, cluster=cluster),
    }
    # Whether the topic or its reader is faster differs from time to time.
    scenes |= {f"made anew under way, {number}": made_anew_under_way for number in (1, 2)}
    await Scenes(databases, cluster, tmp_path).play(scenes)


async def test_where_kafka_thinks_a_group_stands_changes_nothing(
    databases: Databases, cluster: KafkaServer, tmp_path: Path
) -> None:
    scenes = {
        "older": partial(committed_elsewhere, share=0.5),
        "newer": partial(committed_elsewhere, share=1.5),
        "beyond the end": partial(committed_elsewhere, share=3.0),
    }
    await Scenes(databases, cluster, tmp_path).play(scenes)


async def deleted(book: Book) -> None:
    await applied_and_stopped(book)
    await book.send(100)
    await delete_everything(book)
    await book.send(100)
    await loses_its_position(book, await book.stage.start("book"))


async def deleted_under_way(book: Book, cluster: KafkaServer) -> None:
    """Nor does a worker at work go on where Kafka begins now."""
    # What is deleted must not have been read ahead.
    async with cut_off(book, cluster.doors[0]) as (worker, network):
        await book.send(100)
        await delete_everything(book)
        await book.send(100)
        network.mend()
        await loses_its_position(book, worker)


async def expired(book: Book) -> None:
    await applied_and_stopped(book)
    await book.send(100)
    async with admin(book.stage.broker) as client:
        short = {"retention.ms": "1000", "segment.ms": "1000", "cleanup.policy": "delete"}
        await client.alter_configs(
            [ConfigResource(ConfigResourceType.TOPIC, book.stage.broker.topic_prefix + TOPIC, short)]
        )
    while any(begin < end for begin, end in (await bounds(book.stage.broker)).values()):  # noqa: ASYNC110
        await asyncio.sleep(0.2)
    await loses_its_position(book, await book.stage.start("book"))


async def made_anew(book: Book, count: int) -> None:
    await applied_and_stopped(book)
    await book.stage.broker.remake(TOPIC, traffic.PARTITIONS)
    await book.send(count)
    await loses_its_position(book, await book.stage.start("book"))


async def made_anew_under_way(book: Book) -> None:
    worker = await book.start()
    await book.send(_FIRST_PART)
    await book.caught_up()
    before = await book.applied()
    await book.stage.broker.remake(TOPIC, traffic.PARTITIONS)
    await book.send(2 * _FIRST_PART)
    # It sees the new topic at once, or has lost its partitions with the old one and looks for new ones by and by.
    if "positionlost" not in await noticed(worker):
        worker.send(signal.SIGTERM)
    assert await worker.ended() == (ExitCode.FAULT if worker.said("positionlost") else ExitCode.CLEAN), worker.tail()
    assert await book.applied() == before
    await loses_its_position(book, await book.stage.start("book"))


async def made_anew_between_two_fetches(book: Book, cluster: KafkaServer) -> None:
    """No answer says that the old topic is gone, and the new one goes on where the worker stands."""
    async with cut_off(book, cluster.doors[1]) as (worker, network):
        await book.stage.broker.remake(TOPIC, traffic.PARTITIONS)
        await book.send(2 * _FIRST_PART)
        network.mend()
        await loses_its_position(book, worker)
    assert await book.applied() == _FIRST_PART


@asynccontextmanager
async def cut_off(book: Book, door: Door) -> AsyncIterator[tuple[WorkerProcess, Proxy]]:
    """A worker that has applied the first part, and that Kafka does not hear until its network is mended."""
    async with proxy(("127.0.0.1", door.port), door.told) as network:
        book.way["SLUICE_KAFKA_BOOTSTRAP"] = f"127.0.0.1:{network.port}"
        worker = await book.start()
        await book.send(_FIRST_PART)
        await book.caught_up()
        network.up.swallow()
        await network.down.is_silent(1.0)
        yield worker, network


async def noticed(worker: WorkerProcess) -> set[str]:
    """Which of the two; waits for it."""
    async with asyncio.timeout(60):
        while not (found := {"positionlost", "no_partitions"} & {line["action"] for line in worker.logged()}):  # noqa: ASYNC110
            await asyncio.sleep(0.1)
    return found


async def applied_and_stopped(book: Book) -> None:
    worker = await book.start()
    await book.send(_FIRST_PART)
    await book.caught_up()
    assert await worker.stop() == ExitCode.CLEAN


async def loses_its_position(book: Book, worker: WorkerProcess) -> None:
    """It ends, says why, and has applied and skipped nothing; the same is true of a new process."""
    before = await book.applied()
    assert await worker.ended() == ExitCode.FAULT, worker.tail()
    again = await book.stage.start("book")
    assert await again.ended() == ExitCode.FAULT, again.tail()
    for one in (worker, again):
        said = [line["event"] for line in one.logged() if line["action"] == "positionlost"]
        assert len(said) == 1, one.tail()
        assert "sluice progress" in said[0]
    assert await book.applied() == before


async def committed_elsewhere(book: Book, share: float) -> None:
    """Kafka's offset of the group is moved to that share of what is applied; `share` above 1 is not yet applied."""
    await applied_and_stopped(book)
    await book.send(_FIRST_PART)
    broker = book.stage.broker
    group = f"{broker.group_prefix}-book"
    stood = await broker.committed(group, TOPIC)
    consumer = AIOKafkaConsumer(bootstrap_servers=broker.bootstrap, group_id=group, enable_auto_commit=False)
    await consumer.start()
    try:
        partitions = {TopicPartition(broker.topic_prefix + TOPIC, p): int(o * share) for p, o in stood.items()}
        consumer.assign(list(partitions))
        await consumer.commit(partitions)
    finally:
        await consumer.stop()
    await book.start()
    await book.caught_up()
    await book.finish(replaced=0)
    assert await broker.committed(group, TOPIC) == await broker.ends(TOPIC)
    assert len(await broker.read_all(OUTPUT)) == book.sent


@asynccontextmanager
async def admin(broker: Broker) -> AsyncIterator[Any]:
    client = AIOKafkaAdminClient(bootstrap_servers=broker.bootstrap)
    await client.start()
    try:
        yield client
    finally:
        await client.close()


async def bounds(broker: Broker) -> dict[TopicPartition, tuple[int, int]]:
    """First offset kept, and the next one, of each partition of the input topic."""
    partitions = [TopicPartition(broker.topic_prefix + TOPIC, p) for p in await broker.ends(TOPIC)]
    consumer = AIOKafkaConsumer(bootstrap_servers=broker.bootstrap)
    await consumer.start()
    try:
        begins, ends = await consumer.beginning_offsets(partitions), await consumer.end_offsets(partitions)
        return {partition: (begins[partition], ends[partition]) for partition in partitions}
    finally:
        await consumer.stop()


async def delete_everything(book: Book) -> None:
    held = await bounds(book.stage.broker)
    async with admin(book.stage.broker) as client:
        await client.delete_records({p: RecordsToDelete(before_offset=end) for p, (_, end) in held.items()})
