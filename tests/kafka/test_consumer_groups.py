"""What Kafka's own tools read of the groups: every partition has a committed offset from its first assignment on."""

import asyncio
import shutil
import subprocess
from uuid import uuid4

import pytest
from asyncpg import Pool

from tests.support.brokers import Broker
from tests.support.databases import until
from tests.support.kafka import jars
from tests.support.processes import at_work
from workers.app.composition import plan_of

TOPIC = "messages.inbound"
COMMAND = "org.apache.kafka.tools.consumer.group.ConsumerGroupCommand"


async def described(broker: Broker, group: str) -> dict[tuple[str, int], tuple[str, str]]:
    """Committed offset and lag of each partition of a group, as `kafka-consumer-groups.sh --describe` prints them."""
    java = shutil.which("java") or "java"
    process = await asyncio.create_subprocess_exec(
        *(java, "-cp", f"{jars()}/*", COMMAND, "--bootstrap-server", broker.bootstrap, "--describe", "--group", group),
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
    )
    out, _ = await asyncio.wait_for(process.communicate(), 60)
    found = {}
    for line in out.decode().splitlines():
        words = line.split()
        if words and words[0] == group:
            _, topic, partition, committed, _, behind, *_ = words
            found[topic.removeprefix(broker.topic_prefix), int(partition)] = (committed, behind)
    return found


@pytest.mark.kafka
async def test_a_partition_without_records_has_an_offset_and_no_lag(kafka: Broker, database: str, pool: Pool) -> None:
    await kafka.create(TOPIC, partitions=3)
    await kafka.produce(TOPIC, [(b"k", b"{")] * 2, partition=1)
    group = f"{kafka.group_prefix}-inbound"
    async with at_work(database, kafka, plan_of(["inbound"])):
        await until(pool, "SELECT EXISTS (SELECT FROM sluice.partition_progress WHERE next_offset = 2)")
        async with asyncio.timeout(30):
            while (told := await described(kafka, group)) != {
                (TOPIC, 0): ("0", "0"),
                (TOPIC, 1): ("2", "0"),
                (TOPIC, 2): ("0", "0"),
            }:
                assert {(TOPIC, 0), (TOPIC, 2)} <= told.keys(), told


async def test_who_does_not_get_a_partition_commits_nothing_of_it(
    any_broker: Broker, database: str, pool: Pool
) -> None:
    group = f"{any_broker.group_prefix}-inbound"
    async with pool.acquire() as newer:
        await newer.execute(
            """
            INSERT INTO sluice_core.progress
                (topic, partition, consumer_group, lease, owner, generation, backend_pid, backend_start)
            SELECT $1, 1, $2, $3, 'elsewhere/1/inbound', 1000, pid, backend_start
            FROM pg_stat_activity WHERE pid = pg_backend_pid()
            """,
            *(TOPIC, group, uuid4()),
        )
        async with at_work(database, any_broker, plan_of(["inbound"])):
            committed = await any_broker.committed(group, TOPIC)

    assert committed == {0: 0, 2: 0, 3: 0}
