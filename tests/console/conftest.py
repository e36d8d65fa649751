"""A console for each module of tests, and a workspace with people for each test; see tests/console/running.py."""

from collections.abc import AsyncIterator
from inspect import iscoroutinefunction
from pathlib import Path
from typing import Final

import pytest
import pytest_asyncio

from tests.console.running import RunningConsole, Team, running_console, team_of
from tests.support.databases import Databases

_FOLDER: Final = Path(__file__).parent


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    ours = [item for item in items if _FOLDER in item.path.parents]
    serving = {item.path for item in ours if "console" in getattr(item, "fixturenames", ())}
    for item in ours:
        if item.path in serving and iscoroutinefunction(getattr(item, "function", None)):
            # The workers live on one event loop: while it rests, they are fenced.
            item.add_marker(pytest.mark.asyncio(loop_scope="module"), append=False)


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def console(databases: Databases) -> AsyncIterator[RunningConsole]:
    async with running_console(databases) as running:
        yield running


@pytest_asyncio.fixture(loop_scope="module")
async def team(console: RunningConsole) -> AsyncIterator[Team]:
    async with team_of(console) as made:
        yield made
