"""Brings the schema up to date: numbered plain SQL files, each in a transaction of its own, under one advisory lock."""

import hashlib
import re
from collections.abc import Sequence
from importlib import resources
from typing import Any, Final, NamedTuple

import asyncpg
from asyncpg.exceptions import PostgresError

from workers.errors import SetupError
from workers.store.queries import load

_QUERIES: Final = load("migrate")
_FILE: Final = re.compile(r"^(\d{4})_([a-z0-9_]+)\.sql$")


class Migration(NamedTuple):
    """One file; `checksum` is the SHA-256 of its text, hexadecimal."""

    number: int
    name: str
    sql: str
    checksum: str


def migrations() -> list[Migration]:
    """All migrations of this version, in order.

    Raises:
        ValueError: a file's name is not NNNN_name.sql, or two share a number.
    """
    found = sorted(_read(entry.name, entry.read_text(encoding="utf-8")) for entry in _folder() if entry.is_file())
    if len({m.number for m in found}) != len(found):
        raise ValueError("two migrations share a number")
    return found


def _folder() -> list[Any]:
    return [f for f in resources.files("workers.store").joinpath("migrations").iterdir() if f.name.endswith(".sql")]


def _read(file: str, sql: str) -> Migration:
    match = _FILE.match(file)
    if match is None:
        raise ValueError(f"migrations/{file}: the name must be NNNN_name.sql")
    return Migration(int(match[1]), match[2], sql, hashlib.sha256(sql.encode()).hexdigest())


def pending(known: Sequence[Migration], applied: Sequence[tuple[int, str, str]]) -> list[Migration]:
    """The migrations still to apply.

    Raises:
        SetupError: an applied file was edited since, or the database is newer than this version.
    """
    by_number = {m.number: m for m in known}
    for number, name, checksum in applied:
        mine = by_number.get(number)
        if mine is None:
            raise SetupError(f"the database has migration {number:04}_{name}, unknown to this version: update Sluice")
        if mine.checksum != checksum:
            raise SetupError(
                f"migration {number:04}_{mine.name}.sql was edited after it had been applied: "
                "restore the file and put the change into a new migration"
            )
    done = {number for number, _, _ in applied}
    return [m for m in known if m.number not in done]


async def migrate(url: str) -> list[str]:
    """Applies what is pending and returns the names of what was applied. Safe to run from several places at once.

    Raises:
        SetupError: see `pending`; also when the database's user may not do what a migration asks.
    """
    connection = await asyncpg.connect(url, server_settings={"application_name": "sluice/migrate"})
    try:
        await connection.execute(_QUERIES["lock"])
        await connection.execute(_QUERIES["prepare"])
        todo = pending(migrations(), await _applied(connection))
        for migration in todo:
            await _apply(connection, migration)
        return [f"{m.number:04}_{m.name}" for m in todo]
    except asyncpg.InsufficientPrivilegeError as error:
        raise SetupError(f"the database's user lacks a right: {error}") from error
    finally:
        await connection.close()


async def _applied(connection: Any) -> list[tuple[int, str, str]]:
    return [(r["number"], r["name"], r["checksum"]) for r in await connection.fetch(_QUERIES["applied"])]


async def _apply(connection: Any, migration: Migration) -> None:
    async with connection.transaction():
        await connection.execute("SET LOCAL search_path = sluice_core, sluice")
        try:
            await connection.execute(migration.sql)
        except asyncpg.InsufficientPrivilegeError:
            raise
        except PostgresError as error:
            raise SetupError(f"migration {migration.number:04}_{migration.name}.sql failed: {error}") from error
        await connection.execute(_QUERIES["record"], migration.number, migration.name, migration.checksum)


async def check(connection: Any) -> None:
    """Refuses to go on with a database that is not up to date.

    Raises:
        SetupError: migrations are missing, edited or newer than this version.
    """
    applied = await _applied(connection) if await connection.fetchval(_QUERIES["exists"]) else []
    missing = pending(migrations(), applied)
    if missing:
        names = ", ".join(f"{m.number:04}_{m.name}" for m in missing)
        raise SetupError(f"the database lacks migrations ({names}): run `sluice migrate`")
