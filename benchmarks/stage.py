"""The servers of a run: one real Kafka, one embedded PostgreSQL, as durable as by default; topics, databases."""

import asyncio
import os
import tempfile
from collections.abc import Collection, Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Final, NamedTuple
from urllib.parse import urlsplit, urlunsplit

import asyncpg

from benchmarks.load import PARTITIONS
from benchmarks.usage import Usage, child_named, cpu_of
from benchmarks.watching import Offsets
from schemas.topics import EVERY_TOPIC
from tests.support.kafka import real_kafka
from workers.dev.postgres import embedded_postgres
from workers.kafka import topics
from workers.kafka.connection import Kafka
from workers.messages.jobs import FULL_BYTES
from workers.store import message_generations
from workers.store.migrate import migrate
from workers.store.pool import pool_of

_KEPT: Final = """
SELECT ARRAY[pg_wal_lsn_diff(pg_current_wal_insert_lsn(), '0/0')::bigint, pg_database_size($1)]
"""
_FILL_WAL: Final = "SELECT count(pg_logical_emit_message(false, '', repeat(' ', $2))) FROM generate_series(1, $1)"
_SEGMENTS: Final = 32
_SEGMENT_BYTES: Final = 16 * 1024 * 1024
_STORED: Final = Path(__file__).with_name("stored.sql")


class Past(NamedTuple):
    """What a database holds before a measurement; of every hundred people `blocked` are blocked, and `protected` have a
    profile with a protected status. A group of `confirmed` sends has just been, and so many people have just been
    `deleted`: those with the highest numbers. There are `groups` of 10,000 holds each, and as many of the first people
    have 10,000 running runs each.
    """

    contacts: int = 0
    messages: int = 0
    blocked: int = 0
    confirmed: int = 0
    deleted: int = 0
    protected: int = 0
    groups: int = 0

    @property
    def template(self) -> str:
        return "_".join(["past", *map(str, self)])


class Stage:
    """One run's servers. Databases are made of templates, which are made once."""

    def __init__(self, folder: Path, bootstrap: str, postgres: str, data: Path) -> None:
        self.folder = folder
        self.bootstrap = bootstrap
        self.offsets = Offsets(bootstrap)
        self._postgres = postgres
        self._server = int((data / "postmaster.pid").read_text(encoding="utf-8").split()[0])
        self._broker = child_named("java")
        self._templates: set[Past] = set()
        self._prefixes: set[str] = set()

    def grow_old(self) -> None:
        """Fills WAL segments, for PostgreSQL to use them again.

        A server that has been up for some days has them; making a new one holds up whoever commits for 50 to 70 ms.
        """
        self.ask(_FILL_WAL, _SEGMENTS, _SEGMENT_BYTES)
        self.ask("CHECKPOINT")

    def topics(self, prefix: str) -> None:
        """Sluice's topics under a prefix, as `sluice topics` makes them."""
        if prefix not in self._prefixes:
            asyncio.run(topics.ensure(Kafka(self.bootstrap, prefix), PARTITIONS, 1))
            self.offsets.await_leaders([prefix + name for name in EVERY_TOPIC])
            self._prefixes.add(prefix)

    def database(self, name: str, past: Past) -> str:
        """A database of its own, with its past; the URL. Copying ends with a checkpoint, so all begin alike."""
        self.prepare(past)
        self.drop(name)
        self.ask(f"CREATE DATABASE {name} TEMPLATE {past.template} STRATEGY FILE_COPY")
        return self._url(name)

    def kept_database(self, past: Past) -> str:
        """The database with that past that is not copied: measurements continue it. For pasts that are large."""
        self.prepare(past)
        asyncio.run(_upkeep(self._url(past.template)))
        self.ask("CHECKPOINT")
        return self._url(past.template)

    def drop(self, name: str) -> None:
        """Removes a database, whoever is connected."""
        self.ask(f"DROP DATABASE IF EXISTS {name} WITH (FORCE)")

    def usage(self, database: str, workers: Collection[int]) -> Usage:
        """Readings of now. `workers` are process ids."""
        postgres, kafka, *mine = cpu_of([self._server, self._broker, *workers])
        wal, disk = self.ask(_KEPT, urlsplit(database).path[1:])
        return Usage(sum(mine), postgres, kafka, wal, disk)

    def ask(self, statement: str, *arguments: object, database: str | None = None) -> Any:
        """One statement on a connection of its own; its first value."""
        return asyncio.run(_ask(database or self._postgres, statement, arguments))

    def prepare(self, past: Past) -> None:
        """Makes the template with that past, once; ten million messages take some minutes."""
        if past in self._templates:
            return
        self.ask(f"CREATE DATABASE {past.template}")
        url = self._url(past.template)
        asyncio.run(migrate(url))
        if past.contacts:
            asyncio.run(_fill(url, past))
        self._templates.add(past)

    def _url(self, name: str) -> str:
        return urlunsplit(urlsplit(self._postgres)._replace(path=f"/{name}"))


@contextmanager
def stage() -> Iterator[Stage]:
    """Starts the servers in a temporary folder; about five seconds."""
    with tempfile.TemporaryDirectory(prefix="sluice-bench-", ignore_cleanup_errors=True) as folder:
        data = Path(folder) / "data"
        with embedded_postgres(data, _settings()) as postgres, real_kafka() as kafka:
            servers = Stage(Path(folder), kafka.bootstrap, postgres, data)
            servers.grow_old()
            yield servers


def _settings() -> dict[str, str]:
    """Memory as PostgreSQL advises for a server of its own; whatever bears on durability is as it is by default."""
    quarter = os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE") // 4 // 2**20
    kept = f"{_SEGMENTS * _SEGMENT_BYTES // 2**20}MB"
    return {"max_wal_size": "4GB", "min_wal_size": kept, "shared_buffers": f"{min(quarter, 4096)}MB"}


async def _ask(database: str, statement: str, arguments: tuple[object, ...]) -> Any:
    connection = await asyncpg.connect(database)
    try:
        return await connection.fetchval(statement, *arguments)
    finally:
        await connection.close()


async def _upkeep(database: str) -> None:
    """What upkeep does for generations of messages: it does not run beside what is measured."""
    async with pool_of(database, name="upkeep") as pool, pool.acquire() as connection:
        async with connection.transaction():
            await message_generations.open_next(connection, FULL_BYTES)
        sealed = True
        while sealed:
            async with connection.transaction():
                sealed = await message_generations.seal(connection)


async def _fill(database: str, past: Past) -> None:
    connection = await asyncpg.connect(database)
    try:
        statements = _STORED.read_text(encoding="utf-8")
        for name, value in {**past._asdict(), "now": datetime.now(UTC).isoformat()}.items():
            statements = statements.replace(f"@{name}@", str(value))
        await connection.execute(statements)
        await connection.execute("VACUUM (ANALYZE)")
        await connection.execute("CHECKPOINT")
    finally:
        await connection.close()
