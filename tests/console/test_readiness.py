"""`sluice serve` refuses to start on a database that lacks what it asks for."""

import asyncio

import asyncpg
import pytest
from pydantic import SecretStr

from console.process import serve
from tests.console.running import RunningConsole
from tests.support.databases import Databases, console_of, sender_of
from workers.errors import SetupError
from workers.process.http_server import listening


async def refused(console: RunningConsole, url: str) -> str:
    settings = console.settings.model_copy(update={"database_url": SecretStr(url)})
    with listening("127.0.0.1", 0) as sock:
        async with asyncio.timeout(30):
            with pytest.raises(SetupError) as told:
                await serve(settings, sock, asyncio.Event())
    return str(told.value)


async def test_a_schema_older_than_the_code_is_refused(console: RunningConsole, databases: Databases) -> None:
    async with databases.migrated() as database:
        connection = await asyncpg.connect(database)
        await connection.execute("ALTER TABLE sluice_console.sessions RENAME COLUMN expires_at TO ends_at")
        await connection.close()

        assert "sluice migrate" in await refused(console, await console_of(database))


async def test_a_login_without_the_role_is_refused(console: RunningConsole, databases: Databases) -> None:
    async with databases.migrated() as database:
        assert "sluice_console" in await refused(console, await sender_of(database))
