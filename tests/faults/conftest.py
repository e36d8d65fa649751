"""Fixtures of the fault tests.

cluster     Apache Kafka, shared by the run. A test that kills it starts it again
book        a `Stage` for the ledger book's worker: small enough to see through, no natural keys
everything  a `Stage` for every worker, with all topics
usual       as `everything`, with settings as they are by default and a database that remembers no more than it has to
connectors  a `Connected`: receivers and senders of a test, beside workers that a file's tests share
quiet_world   what the views show after `traffic` without any fault
"""

import uuid
from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import pytest
import pytest_asyncio

from schemas.topics import TOPICS, UNMAPPED
from tests.acceptance.stage import Stage as WorkersAtWork
from tests.acceptance.stage import set_stage
from tests.faults import traffic
from tests.faults.connected import Connected, connected
from tests.faults.stage import BOOK_TOPICS, Stage, delete, stage
from tests.faults.world import World, world
from tests.runtime import ledgerbook
from tests.support.brokers import Broker
from tests.support.databases import Databases
from tests.support.kafka import KafkaServer, demand, real_kafka

# Retention is looked after at once, not every five minutes.
_PROPERTIES = "log.retention.check.interval.ms=1000\nlog.initial.task.delay.ms=1000"
_QUIET: dict[str, World] = {}


@pytest.fixture(scope="session")
def autovacuum() -> str:
    """As in production: these tests store much, and take minutes."""
    return "on"


@pytest.fixture(scope="session")
def cluster() -> Iterator[KafkaServer]:
    demand()
    with real_kafka(_PROPERTIES) as server:
        yield server


@pytest.fixture
def ours(cluster: KafkaServer) -> Broker:
    """The shared cluster with names of the test's own."""
    name = uuid.uuid4().hex[:8]
    return Broker("kafka", cluster.bootstrap, f"t{name}.", f"g{name}")


@pytest.fixture
async def book(database: str, ours: Broker, tmp_path: Path) -> AsyncIterator[Stage]:
    async with stage(database, ours, tmp_path, BOOK_TOPICS) as set_:
        await ledgerbook.book(set_.pool)
        yield set_


@pytest.fixture
async def everything(database: str, ours: Broker, tmp_path: Path) -> AsyncIterator[Stage]:
    async with stage(database, ours, tmp_path, tuple(TOPICS)) as set_:
        yield set_


@pytest.fixture
async def usual(database: str, ours: Broker, tmp_path: Path) -> AsyncIterator[Stage]:
    async with stage(database, ours, tmp_path, tuple(TOPICS), audited=False) as set_:
        yield set_


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def workers(databases: Databases, cluster: KafkaServer) -> AsyncIterator[WorkersAtWork]:
    name = uuid.uuid4().hex[:8]
    broker = Broker("kafka", cluster.bootstrap, f"t{name}.", f"g{name}")
    async with databases.migrated() as url, set_stage(broker, url) as opened:
        yield opened
    await delete(broker, (*TOPICS, UNMAPPED.name))


@pytest_asyncio.fixture(loop_scope="module")
async def connectors(workers: WorkersAtWork, tmp_path: Path) -> AsyncIterator[Connected]:
    async with connected(workers, tmp_path) as one:
        yield one


@pytest.fixture
async def quiet_world(databases: Databases, cluster: KafkaServer, tmp_path_factory: pytest.TempPathFactory) -> World:
    if "world" not in _QUIET:
        name = uuid.uuid4().hex[:8]
        broker = Broker("kafka", cluster.bootstrap, f"t{name}.", f"g{name}")
        logs = tmp_path_factory.mktemp("quiet")
        async with databases.migrated() as url, stage(url, broker, logs, tuple(TOPICS)) as set_:
            await set_.start_ready()
            await traffic.play(broker, set_.pool)
            assert await set_.stop() == [0]
            _QUIET["world"] = await world(set_.pool)
    return _QUIET["world"]
