"""One stage for all examples; see tests/acceptance/stage.py."""

import uuid
from collections.abc import AsyncIterator

import pytest
import pytest_asyncio

from tests.acceptance.stage import Stage, Workspace, set_stage
from tests.support.brokers import Broker
from tests.support.databases import Databases
from workers.dev.broker import embedded_broker


@pytest_asyncio.fixture(scope="package", loop_scope="session")
async def stage(databases: Databases) -> AsyncIterator[Stage]:
    with embedded_broker() as bootstrap:
        async with databases.migrated() as url, set_stage(Broker("embedded", bootstrap), url) as opened:
            yield opened


@pytest.fixture
def workspace(stage: Stage) -> Workspace:
    return Workspace(stage, f"w-{uuid.uuid4().hex[:12]}")
