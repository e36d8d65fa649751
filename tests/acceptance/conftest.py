"""One stage per module and kind of broker, and a workspace per test; see tests/acceptance/stage.py."""

import uuid
from collections.abc import AsyncIterator, Iterator

import pytest
import pytest_asyncio

from tests.acceptance.stage import Stage, Workspace, set_stage
from tests.support.brokers import Broker
from tests.support.databases import Databases
from tests.support.kafka import KafkaServer
from workers.dev.broker import embedded_broker


@pytest.fixture(scope="module", params=["embedded", pytest.param("kafka", marks=pytest.mark.kafka)])
def stage_broker(request: pytest.FixtureRequest) -> Iterator[Broker]:
    if request.param == "embedded":
        with embedded_broker() as bootstrap:
            yield Broker("embedded", bootstrap)
        return
    server: KafkaServer = request.getfixturevalue("kafka_server")
    name = uuid.uuid4().hex[:8]
    yield Broker("kafka", server.bootstrap, f"t{name}.", f"g{name}")


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def stage(stage_broker: Broker, databases: Databases) -> AsyncIterator[Stage]:
    async with databases.migrated() as url, set_stage(stage_broker, url) as opened:
        yield opened


@pytest.fixture
def workspace(stage: Stage) -> Workspace:
    return Workspace(stage, f"w-{uuid.uuid4().hex[:12]}")
