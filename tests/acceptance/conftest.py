"""One stage per kind of broker for all acceptance tests, and a workspace per test; see tests/acceptance/stage.py."""

import uuid
from collections.abc import AsyncIterator, Iterator
from pathlib import Path
from typing import Final

import pytest
import pytest_asyncio

from tests.acceptance.stage import Stage, Workspace, set_stage
from tests.support.brokers import Broker
from tests.support.databases import Databases
from tests.support.kafka import KafkaServer
from workers.dev.broker import embedded_broker

FOLDER: Final = Path(__file__).parent


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    items[:] = [item for item in items if not _left_out(item)]
    # The stage lives on one event loop. Who uses it runs there, in one go: where a loop rests, workers are fenced.
    ours = [number for number, item in enumerate(items) if FOLDER in item.path.parents]
    for item in (items[number] for number in ours if uses_stage(items[number])):
        item.add_marker(pytest.mark.asyncio(loop_scope="session"), append=False)
    for number, item in zip(ours, sorted((items[n] for n in ours), key=uses_stage), strict=True):
        items[number] = item


def _left_out(item: pytest.Item) -> bool:
    """On real Kafka, a test for which the embedded broker is enough."""
    chosen = getattr(item, "callspec", None)
    return bool(item.get_closest_marker("embedded")) and chosen is not None and "kafka" in chosen.params.values()


def uses_stage(item: pytest.Item) -> bool:
    return "stage" in getattr(item, "fixturenames", ())


@pytest.fixture(scope="package", params=["embedded", pytest.param("kafka", marks=pytest.mark.kafka)])
def stage_broker(request: pytest.FixtureRequest) -> Iterator[Broker]:
    if request.param == "embedded":
        with embedded_broker() as bootstrap:
            yield Broker("embedded", bootstrap)
        return
    server: KafkaServer = request.getfixturevalue("kafka_server")
    name = uuid.uuid4().hex[:8]
    yield Broker("kafka", server.bootstrap, f"t{name}.", f"g{name}")


@pytest_asyncio.fixture(scope="package", loop_scope="session")
async def stage(stage_broker: Broker, databases: Databases) -> AsyncIterator[Stage]:
    async with databases.migrated() as url, set_stage(stage_broker, url) as opened:
        yield opened


@pytest.fixture
def workspace(stage: Stage) -> Workspace:
    return Workspace(stage, f"w-{uuid.uuid4().hex[:12]}")
