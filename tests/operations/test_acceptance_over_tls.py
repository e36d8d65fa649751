"""Acceptance tests with workers that log in by SCRAM over TLS, and have the rights of workers and no others.

The imported tests use the stage and the workspace of this file.
"""

import uuid
from collections.abc import AsyncIterator

import pytest
import pytest_asyncio

from schemas.kafka_rights import acls_of
from tests.acceptance.stage import Stage, Workspace, set_stage
from tests.acceptance.test_hold_rules import *  # noqa: F403 - its tests
from tests.acceptance.test_inbound_rules import *  # noqa: F403
from tests.acceptance.test_mac_rules import *  # noqa: F403
from tests.acceptance.test_send_rules import *  # noqa: F403
from tests.acceptance.test_workflow_rules import *  # noqa: F403
from tests.support.databases import Databases
from tests.support.guarded_kafka import Guarded
from workers.kafka import acls

pytestmark = [pytest.mark.kafka, pytest.mark.asyncio(loop_scope="module")]


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def stage(guarded: Guarded, databases: Databases) -> AsyncIterator[Stage]:
    broker = guarded.broker
    wanted = acls_of([("worker", "User:sluice")], broker.topic_prefix, broker.group_prefix)
    await acls.apply(broker.cluster(), wanted)
    async with databases.migrated() as url, set_stage(broker, url, **guarded.by_scram("sluice")) as opened:
        yield opened


@pytest.fixture
def workspace(stage: Stage) -> Workspace:
    return Workspace(stage, f"w-{uuid.uuid4().hex[:12]}")
