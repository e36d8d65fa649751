"""Logins by OAUTHBEARER: tokens of a command, on a broker that closes connections whose token has ended."""

import asyncio
import sys
from collections.abc import AsyncIterator, Iterator
from pathlib import Path
from typing import Final

import pytest
import pytest_asyncio

from schemas.kafka_rights import acls_of
from tests.acceptance.stage import Stage, Workspace, set_stage
from tests.cli.commands import Sluice
from tests.support.databases import HASH_KEY, Databases, worker_of
from tests.support.guarded_kafka import Guarded, guarded_kafka
from tests.support.kafka import demand
from workers.app.settings import load_settings
from workers.errors import ExitCode, SetupError
from workers.kafka import acls
from workers.kafka.brokers import reached
from workers.kafka.token_command import NoToken, TokenCommand

pytestmark = [pytest.mark.kafka, pytest.mark.asyncio(loop_scope="module")]

LIFE_S: Final = 6.0
PATIENCE_S: Final = 3 * LIFE_S


@pytest.fixture(scope="module")
def guarded() -> Iterator[Guarded]:
    demand()
    with guarded_kafka("listener.name.token.oauthbearer.connections.max.reauth.ms=3600000") as opened:
        yield opened


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Of the workers' command."""
    return tmp_path_factory.mktemp("tokens")


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def stage(guarded: Guarded, databases: Databases, folder: Path) -> AsyncIterator[Stage]:
    """Workers whose tokens live for some seconds."""
    broker = guarded.broker
    await acls.apply(broker.cluster(), acls_of([("worker", "User:worker")], broker.topic_prefix, broker.group_prefix))
    login = guarded.by_token("worker", folder, LIFE_S)
    async with databases.migrated() as url, set_stage(broker, url, **login) as opened:
        yield opened


async def test_workers_outlive_their_tokens(stage: Stage, folder: Path) -> None:
    workspace, loop = Workspace(stage, "w-tokens"), asyncio.get_running_loop()
    until, sent = loop.time() + PATIENCE_S, 0
    while loop.time() < until:
        await workspace.play(workspace.message(f"hello {sent}"))
        sent += 1
        await asyncio.sleep(0.5)
    accepted = await workspace.outputs("messages.accepted")

    assert len({out.value["message_id"] for out in accepted}) == sent
    assert len((folder / "calls").read_text()) >= 3


async def test_no_log_has_a_token(guarded: Guarded, stage: Stage, tmp_path: Path) -> None:
    login = {name.upper(): value for name, value in guarded.by_token("worker", tmp_path).items()}
    worker = Sluice(
        tmp_path, **login, DATABASE_URL=await worker_of(stage.database), HASH_KEY=HASH_KEY, LOG_LEVEL="debug"
    )
    with worker.running("worker", "upkeep") as working:
        await asyncio.to_thread(working.until_consuming)
        ended = await asyncio.to_thread(working.stop)

    assert ended.code == ExitCode.CLEAN
    assert "eyJ" not in ended.err  # how every token of JSON begins


async def test_one_token_serves_many_connections(guarded: Guarded, tmp_path: Path) -> None:
    cluster = load_settings(**guarded.by_token("ada", tmp_path)).kafka()
    await asyncio.gather(*(reached(cluster) for _ in range(5)))

    assert (tmp_path / "calls").read_text() == "x"


async def test_a_token_that_the_broker_refuses_is_told_by_its_variable(guarded: Guarded, tmp_path: Path) -> None:
    cluster = load_settings(**guarded.by_token("ada", tmp_path, -60.0)).kafka()
    with pytest.raises(SetupError, match="refuses the token that SLUICE_KAFKA_TOKEN_COMMAND printed"):
        await reached(cluster)


async def test_a_command_that_fails_is_a_broker_that_is_away(guarded: Guarded, tmp_path: Path) -> None:
    told = guarded.by_token("ada", tmp_path) | {"kafka_token_command": f"{sys.executable} -c 'raise SystemExit(7)'"}
    with pytest.raises(NoToken, match="exit code 7"):
        await reached(load_settings(**told).kafka())


async def test_a_command_is_not_waited_for_without_end(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("workers.kafka.token_command._WITHIN_S", 0.2)
    with pytest.raises(NoToken, match="no token within"):
        await TokenCommand(["sh", "-c", "sleep 60"]).token()
