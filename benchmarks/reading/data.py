"""The data to read: made once by SQL, kept in a folder with its server, and migrated for each run."""

import asyncio
import hashlib
import os
import re
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import Final, NamedTuple
from urllib.parse import urlsplit, urlunsplit

import asyncpg

from workers.dev.postgres import embedded_postgres
from workers.store.migrate import migrate

_CONTACTS: Final = 1_000_000
_MESSAGES: Final = 10_000_000
_LONG: Final = 100_000
_TENANTS: Final = 1_000
_STATEMENTS: Final = (Path(__file__).parents[1] / "stored.sql", Path(__file__).with_name("fill.sql"))


class Filled(NamedTuple):
    """A database with `contacts` and `messages` in its large workspace, made at `now`."""

    url: str
    contacts: int
    messages: int
    now: str


@contextmanager
def filled(folder: Path, scale: float, say: Callable[[str], None]) -> Iterator[Filled]:
    """Starts the server and yields the database of that size; with ten million messages, making it takes some minutes
    and 12 GB. `say` gets what takes long.
    """
    contacts, messages = round(_CONTACTS * scale), round(_MESSAGES * scale)
    folder.mkdir(parents=True, exist_ok=True)
    with embedded_postgres(folder / "reading", _settings()) as server:
        name = f"reading_{contacts}_{_digest()}"
        url = urlunsplit(urlsplit(server)._replace(path=f"/{name}"))
        now = asyncio.run(_made(server, name))
        if now is None:
            say(f"Making {messages:,} messages of {contacts:,} contacts ...")
            now = datetime.now(UTC).isoformat()
            asyncio.run(_make(server, name, url, Filled(url, contacts, messages, now)))
        asyncio.run(migrate(url))
        asyncio.run(_run(url, "ANALYZE"))
        yield Filled(url, contacts, messages, now)


def scripts(contacts: int, messages: int, long: int, tenants: int, now: str) -> Iterator[str]:
    """What fills a migrated database: the contacts and messages of the large workspace, the messages of its longest
    conversation, the number of small workspaces. They need a connection of their own each.
    """
    values = {"contacts": contacts, "messages": messages, "long": long, "tenants": tenants, "now": now}
    for file in _STATEMENTS:
        script = file.read_text(encoding="utf-8")
        # What stored.sql has besides, for other measurements, is left out.
        yield re.sub(r"@(\w+)@", lambda name: str(values.get(name[1], 0)), script)


def _digest() -> str:
    return hashlib.sha256(b"".join(file.read_bytes() for file in _STATEMENTS)).hexdigest()[:8]


def _settings() -> dict[str, str]:
    quarter = os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE") // 4 // 2**20
    return {"max_wal_size": "4GB", "shared_buffers": f"{min(quarter, 4096)}MB", "random_page_cost": "1.1"}


async def _made(server: str, name: str) -> str | None:
    """When the data was made: a comment on a database that is complete."""
    connection = await asyncpg.connect(server)
    try:
        query = "SELECT shobj_description(oid, 'pg_database') FROM pg_database WHERE datname = $1"
        made: str | None = await connection.fetchval(query, name)
        return made
    finally:
        await connection.close()


async def _make(server: str, name: str, url: str, wanted: Filled) -> None:
    await _run(server, f"DROP DATABASE IF EXISTS {name} WITH (FORCE)")
    await _run(server, f"CREATE DATABASE {name}")
    await migrate(url)
    for script in scripts(wanted.contacts, wanted.messages, _LONG, _TENANTS, wanted.now):
        await _run(url, script)
    await _run(url, "VACUUM FULL sluice_core.contacts")
    await _run(url, "VACUUM (ANALYZE)")
    await _run(server, f"COMMENT ON DATABASE {name} IS '{wanted.now}'")


async def _run(url: str, statements: str) -> None:
    connection = await asyncpg.connect(url)
    try:
        await connection.execute(statements)
    finally:
        await connection.close()
