"""The stage of a fault test: a database that records everything, topics, and worker processes."""

import signal
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

from aiokafka.admin import AIOKafkaAdminClient
from asyncpg import Pool

from schemas.topics import TOPICS
from tests.faults import audit, forking, oracle, process, traffic
from tests.faults.process import Fault, WorkerProcess
from tests.faults.world import World, assert_same, world
from tests.runtime.ledgerbook import OUTPUT, TOPIC
from tests.support.brokers import Broker
from tests.support.databases import HASH_KEY
from workers.store.pool import pool_of

SESSION_MS: Final = 6_000
BOOK_TOPICS: Final = (TOPIC, OUTPUT, "dead.letters")


@dataclass
class Stage:
    """`environment` is what every worker process is told; `logs` is the folder of their logs."""

    database: str
    pool: Pool
    broker: Broker
    logs: Path
    environment: dict[str, str]
    started: list[WorkerProcess] = field(default_factory=list)

    async def start(self, plan: str = "all", *, fault: Fault | None = None, **environment: str) -> WorkerProcess:
        """Starts a worker process; it is killed at the end of the test if it is still there."""
        log = self.logs / f"worker-{len(self.started)}.log"
        one = await process.start(plan, self.environment | environment, log, fault)
        self.started.append(one)
        return one

    async def fork(self, plan: str = "all", *, fault: Fault | None = None, **environment: str) -> WorkerProcess:
        """As `start`, a second sooner: for tests that need many of them."""
        log = self.logs / f"worker-{len(self.started)}.log"
        one = forking.fork(plan, self.environment | environment, log, fault)
        self.started.append(one)
        return one

    async def fork_ready(self, plan: str = "all", count: int = 1) -> list[WorkerProcess]:
        """As `start_ready`, but forked."""
        some = [await self.fork(plan) for _ in range(count)]
        for one in some:
            await one.has_logged("ready")
        return some

    async def expel(self, worker: str) -> None:
        """Takes everybody out of a worker's group: the next one need not wait for the session of a dead one."""
        await forking.expel(self.broker, f"{self.broker.group_prefix}-{worker}")

    async def start_ready(self, plan: str = "all", *, count: int = 1, **environment: str) -> list[WorkerProcess]:
        """Starts so many worker processes and waits until all of them are at work."""
        some = [await self.start(plan, fault=None, **environment) for _ in range(count)]
        for one in some:
            await one.has_logged("ready")
        return some

    async def stop(self, *workers: WorkerProcess) -> list[int]:
        """Asks the processes (default: all) to stop; their exit codes."""
        chosen = workers or tuple(self.started)
        for one in chosen:
            one.send(signal.SIGTERM)
        return [await one.ended() for one in chosen]

    async def assert_as_without_faults(self, expected: World) -> None:
        """The traffic is over: nothing lost, nothing doubled, and the views are those without faults."""
        await oracle.assert_compacted(self.pool, self.broker)
        await oracle.assert_delivered(self.pool, self.broker, traffic.INPUTS)
        assert_same(await world(self.pool), expected)

    def told(self) -> str:
        """The ends of all logs, for the report of a failure."""
        return "\n\n".join(f"{one.log.name} (code {one.code}):\n{one.tail()}" for one in self.started)


@asynccontextmanager
async def stage(
    database: str, broker: Broker, logs: Path, topics: Sequence[str], *, audited: bool = True
) -> AsyncIterator[Stage]:
    """A stage with these topics, inputs in twelve partitions; what is left of its processes is killed at the end.

    `audited`: the database remembers everything, and polls are small. Otherwise both are as users have them.
    """
    await _create(broker, topics)
    environment = {
        "SLUICE_DATABASE_URL": database,
        "SLUICE_KAFKA_BOOTSTRAP": broker.bootstrap,
        "SLUICE_TOPIC_PREFIX": broker.topic_prefix,
        "SLUICE_GROUP_PREFIX": broker.group_prefix,
        "SLUICE_SESSION_TIMEOUT_MS": str(SESSION_MS),
        "SLUICE_LOG_LEVEL": "info",
        "SLUICE_HASH_KEY": HASH_KEY,
    }
    if audited:
        environment |= {"SLUICE_POLL_RECORDS": "200", "SLUICE_FETCH_MAX_WAIT_MS": "20"}
    async with pool_of(database, name="test", max_size=4) as pool:
        if audited:
            await audit.install(pool)
        set_ = Stage(database, pool, broker, logs, environment)
        try:
            yield set_
        finally:
            for one in set_.started:
                one.send(signal.SIGKILL)
            for one in set_.started:
                await one.ended()
    await delete(broker, topics)


async def _create(broker: Broker, topics: Sequence[str]) -> None:
    inputs = [topic for topic in topics if TOPICS[topic].direction == "in"]
    compacted = [topic for topic in topics if TOPICS[topic].cleanup_policy == "compact"]
    clock = {name: value for name, value in TOPICS[topics[0]].config().items() if name == "message.timestamp.type"}
    await broker.create(*inputs, partitions=traffic.PARTITIONS, configs=clock)
    await broker.create(*(topic for topic in topics if topic not in inputs and topic not in compacted), configs=clock)
    if compacted:
        await broker.create(*compacted, configs=clock | {"cleanup.policy": "compact"})


async def delete(broker: Broker, topics: Sequence[str]) -> None:
    """Deletes topics: a broker with the partitions of fifty tests would be slow."""
    admin = AIOKafkaAdminClient(bootstrap_servers=broker.bootstrap)
    await admin.start()
    try:
        await admin.delete_topics([broker.topic_prefix + topic for topic in topics])
    finally:
        await admin.close()
