"""The API while a server is away, or after the console was killed: nothing is half given, nothing given twice."""

import asyncio
import os
import re
import signal
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Any, Final
from urllib.parse import urlsplit
from uuid import uuid4

import httpx
import pytest
from pydantic import SecretStr

from console.api import serving
from console.app import application
from console.events.streams import Events
from console.passwords import Passwords
from console.process import console_postgres, parts_of
from console.visitor import SESSION_COOKIE
from tests.acceptance.making import WHATSAPP
from tests.console.running import RunningConsole, Team, beside
from tests.faults.proxy import Proxy, proxy, socket_of
from tests.support.brokers import PATIENCE_S
from workers.process.production import Production

_WAITING: Final = """
    SELECT EXISTS (SELECT FROM pg_locks l JOIN pg_database d ON d.oid = l.database OR l.database IS NULL
        WHERE NOT l.granted AND d.datname = current_database())
"""


@dataclass(frozen=True)
class Elsewhere:
    """A console that reaches PostgreSQL by way of a proxy."""

    proxied: Proxy
    api: httpx.AsyncClient
    pages: httpx.AsyncClient

    async def take_postgres_away(self) -> None:
        self.proxied.target = "/nowhere"
        self.proxied.reset()


@asynccontextmanager
async def elsewhere(team: Team) -> AsyncIterator[Elsewhere]:
    url = team.console.settings.required_database_url()
    async with proxy(socket_of(url)) as proxied:
        away = f"postgresql://{urlsplit(url).username}@127.0.0.1:{proxied.port}{urlsplit(url).path}?sslmode=disable"
        async with beside(team.console, database_url=SecretStr(away)) as console:
            headers = {"authorization": f"Bearer {team.owner.token}"}
            cookies = {SESSION_COOKIE: team.owner.session}
            yield Elsewhere(
                proxied, await console.client("/api/v1", headers=headers), await console.client(cookies=cookies)
            )


@asynccontextmanager
async def locked_contact(team: Team) -> AsyncIterator[None]:
    """A contact whom nobody can block until the end: the command waits, applied by nobody."""
    await team.workspace.play(team.workspace.message())
    async with team.workspace.stage.pool.acquire() as connection, connection.transaction():
        lock = "SELECT FROM sluice_core.contacts WHERE workspace_id = $1 FOR UPDATE"
        await connection.fetch(lock, team.workspace.id)
        yield


async def produced(team: Team) -> None:
    """Waits until a command is at the locked contact."""

    async def waits() -> bool:
        return bool(await team.workspace.stage.pool.fetchval(_WAITING))

    await team.workspace.stage.until(waits, "no command came")


def commands(team: Team) -> str:
    return f"/workspaces/{team.workspace.id}/commands"


async def block(api: httpx.AsyncClient, team: Team, key: str) -> httpx.Response:
    headers = {"idempotency-key": key, "prefer": "wait=25"}
    return await api.post(commands(team), json={"command": "block_contact", "identity": WHATSAPP}, headers=headers)


async def test_without_postgresql_nothing_is_given(team: Team) -> None:
    async with elsewhere(team) as console:
        before = await console.api.get("/workspaces")
        await console.take_postgres_away()
        read, given = await console.api.get("/workspaces"), await block(console.api, team, str(uuid4()))

    assert before.status_code == 200
    for told in (read, given):
        assert (told.status_code, told.headers["content-type"]) == (503, "application/problem+json")
    assert "command_id" not in given.json()
    assert await team.workspace.rows("audit_log", command="block_contact") == []


async def test_if_postgresql_goes_away_after_a_command_was_produced_its_id_is_told(team: Team) -> None:
    key = str(uuid4())
    async with elsewhere(team) as console:
        async with locked_contact(team):
            giving = asyncio.create_task(block(console.api, team, key))
            await produced(team)
            await console.take_postgres_away()
            told = await giving
        again = await block(team.owner.api, team, key)

    assert (told.status_code, told.json()["command_id"]) == (503, key)
    assert (again.status_code, again.json()["outcome"], again.json()["command_id"]) == (200, "done", key)
    assert len(await team.workspace.rows("audit_log", command="block_contact")) == 1


async def test_a_page_names_the_id_of_what_was_asked_for_too(team: Team) -> None:
    once = str(uuid4())
    async with elsewhere(team) as console:
        async with locked_contact(team):
            path = f"conversations/{await team.workspace.contact_id(WHATSAPP['address'])}"
            form = {"csrf": team.owner.csrf, "once": once, "do": "close"}
            giving = asyncio.create_task(console.pages.post(team.owner.at(path), data=form))
            await produced(team)
            await console.take_postgres_away()
            told = await giving
        again = await team.owner.post(path, once=once, do="close")

    [given] = await team.workspace.rows("audit_list", command="close_conversation")
    assert told.status_code == 503
    assert str(given["command_id"]) in told.text
    assert again.status_code == 303


async def test_who_waits_long_is_answered_before_the_request_ends(team: Team, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(serving, "REQUEST_S", 3.0)
    key = str(uuid4())
    async with locked_contact(team):
        told = await block(team.owner.api, team, key)
    again = await block(team.owner.api, team, key)

    assert (told.status_code, told.json()) == (202, {"command_id": key})
    assert (again.status_code, again.json()["outcome"]) == (200, "done")


async def test_without_kafka_one_reads_and_gives_nothing(team: Team) -> None:
    settings = team.console.settings.model_copy(update={"kafka_bootstrap": "127.0.0.1:1"})
    database, producer, passwords = console_postgres(settings), Production(settings.kafka(), "console"), Passwords()
    parts = parts_of(settings, database, passwords, producer, Events(settings.kafka(), database))
    headers = {"authorization": f"Bearer {team.owner.token}"}
    key = str(uuid4())
    try:
        async with httpx.AsyncClient(
            transport=httpx.ASGITransport(application(parts)), base_url="http://console/api/v1", headers=headers
        ) as api:
            read, given = await api.get("/workspaces"), await block(api, team, key)
            sent = await api.post(f"/workspaces/{team.workspace.id}/sends", json=_SEND | {"send_id": key})
            result = await api.get(f"{commands(team)}/{key}")
    finally:
        await parts.asking.stop()
        await producer.stop()
        await database.stop()
        passwords.stop()

    assert (read.status_code, result.status_code) == (200, 404)
    assert (given.status_code, given.json()["command_id"]) == (503, key)
    assert (sent.status_code, sent.json()["send_id"]) == (503, key)


_SEND: Final[dict[str, Any]] = {
    "channel_id": "whatsapp-main",
    "channel": "whatsapp",
    "to": {"address": "+4915112345678"},
    "content": {"type": "text", "text": "hello"},
}


async def test_a_command_is_given_once_although_the_console_was_killed_before_it_answered(team: Team) -> None:
    key = str(uuid4())
    async with locked_contact(team):
        process, url = await _process(team.console)
        headers = {"authorization": f"Bearer {team.owner.token}"}
        async with httpx.AsyncClient(base_url=f"{url}/api/v1", headers=headers, timeout=60, trust_env=False) as api:
            giving = asyncio.create_task(block(api, team, key))
            await produced(team)
            process.send_signal(signal.SIGKILL)
            [failed] = await asyncio.gather(giving, return_exceptions=True)
        await process.wait()
    again = [await block(team.owner.api, team, key) for _ in range(2)]

    assert isinstance(failed, httpx.TransportError)
    assert [(told.status_code, told.json()["outcome"]) for told in again] == [(200, "done")] * 2
    assert len(await team.workspace.rows("audit_log", command="block_contact")) == 1


async def _process(console: RunningConsole) -> tuple[asyncio.subprocess.Process, str]:
    """`sluice serve` as a process, and where it answers."""
    settings = console.settings
    told = {name: value for name, value in os.environ.items() if not name.startswith("SLUICE_")} | {
        "SLUICE_DATABASE_URL": settings.required_database_url(),
        "SLUICE_KAFKA_BOOTSTRAP": str(settings.kafka_bootstrap),
    }
    command = (sys.executable, "-c", "from workers.cli.main import main; main()", "serve", "--port", "0")
    out = asyncio.subprocess.PIPE
    process = await asyncio.create_subprocess_exec(*command, env=told, stdout=out, stderr=asyncio.subprocess.STDOUT)
    assert process.stdout is not None
    async with asyncio.timeout(PATIENCE_S):
        while line := (await process.stdout.readline()).decode():
            found = re.search(r"http://127\.0\.0\.1:\d+", line)
            if found is not None:
                return process, found[0]
    raise AssertionError("the console did not begin to answer")
