"""Brings the schema up to date from plain SQL files, in one transaction under one advisory lock.

Numbered files (`NNNN_name.sql`) make tables and change them: each is applied once and never edited. Repeatable files
(`repeatable/NN_name.sql`) have the views and functions: when one changes, all are dropped and made again, in the order
of their names.
"""

import hashlib
import re
from collections.abc import Iterable, Mapping, Sequence
from contextlib import suppress
from importlib import resources
from typing import Any, Final, NamedTuple

import asyncpg
from asyncpg.exceptions import PostgresError

from workers.errors import SetupError
from workers.store.pool import APPLICATION_NAME, connected
from workers.store.queries import load

_QUERIES: Final = load("migrate")
ROLES: Final = ("sluice_worker", "sluice_reader", "sluice_billing", "sluice_sender", "sluice_console")
"""Roles without logins. They belong to the whole server, not to a database, so they are created before any
migration.
"""

_REPEATABLE: Final = "repeatable/"
_FILE: Final = re.compile(rf"^(\d{{4}}|{_REPEATABLE}\d\d)_[a-z0-9_]+\.sql$")


class Migration(NamedTuple):
    """One file; `name` is its path below `migrations`, `checksum` the SHA-256 of its text, hexadecimal."""

    name: str
    sql: str
    checksum: str

    @property
    def repeatable(self) -> bool:
        """Whether it is applied again when it changes."""
        return self.name.startswith(_REPEATABLE)


def migrations() -> list[Migration]:
    """All files of this version: the numbered ones in order, then the repeatable ones in order.

    Raises:
        ValueError: a file's name is not NNNN_name.sql or repeatable/NN_name.sql, or two share a number.
    """
    folder = resources.files("workers.store").joinpath("migrations")
    found = [_read(file.name, file) for file in folder.iterdir() if file.name.endswith(".sql")]
    found += [_read(_REPEATABLE + file.name, file) for file in folder.joinpath(_REPEATABLE).iterdir()]
    if len({m.name.partition("_")[0] for m in found}) != len(found):
        raise ValueError("two migrations share a number")
    return sorted(found)  # digits are before letters


def newest() -> int:
    """The number of the newest numbered file of this version: the number of its schema."""
    return max(int(m.name[:4]) for m in migrations() if not m.repeatable)


async def applied_number(connection: Any) -> int | None:
    """The number of the newest numbered file that the database has; None without a schema of Sluice."""
    if not await connection.fetchval(_QUERIES["exists"]):
        return None
    applied = await _checksums(connection, "known")
    return max((int(name[:4]) for name in applied if not name.startswith(_REPEATABLE)), default=None)


def _read(name: str, file: Any) -> Migration:
    if _FILE.match(name) is None:
        raise ValueError(f"migrations/{name}: the name must be NNNN_name.sql or {_REPEATABLE}NN_name.sql")
    sql = file.read_text(encoding="utf-8")
    return Migration(name, sql, hashlib.sha256(sql.encode()).hexdigest())


def pending(known: Sequence[Migration], applied: Mapping[str, str]) -> list[Migration]:
    """The files still to apply: new ones, and repeatable ones that changed. `applied`: names with checksums.

    Raises:
        SetupError: an applied numbered file was edited, or the database is newer than this version.
    """
    by_name = {m.name: m for m in known}
    for name, checksum in applied.items():
        if name.startswith(_REPEATABLE):
            continue
        mine = by_name.get(name)
        if mine is None:
            raise SetupError(f"the database has migration {name}, unknown to this version: update Sluice")
        if mine.checksum != checksum:
            raise SetupError(
                f"migration {name} was edited after it had been applied: "
                "restore the file and put the change into a new migration"
            )
    return [m for m in known if applied.get(m.name) != m.checksum]


def _removed(known: Sequence[Migration], applied: Iterable[str]) -> list[str]:
    """Applied repeatable files that this version does not have: their views and functions are dropped."""
    return sorted({name for name in applied if name.startswith(_REPEATABLE)} - {m.name for m in known})


async def migrate(url: str) -> list[str]:
    """Applies pending files and returns their names. Safe to run from several places at once; after an error everything
    is as before.

    Raises:
        SetupError: see `pending`; also if the database's user lacks a right, or a file fails.
    """
    connection = await connected(url, f"{APPLICATION_NAME}/migrate")
    try:
        await connection.execute(_QUERIES["lock"])
        await _make_roles(connection)
        await _become_owner(connection)
        async with connection.transaction():
            await connection.execute(_QUERIES["prepare"])
            known, applied = migrations(), await checksums(connection)
            todo, removed = pending(known, applied), _removed(known, applied)
            if todo or removed:
                await _apply_all(connection, known, todo, removed)
        return [m.name for m in todo]
    except asyncpg.InsufficientPrivilegeError as error:
        raise SetupError(
            f"the database's user lacks a right: {error}. Run `sluice migrate` as the database's owner or a superuser"
        ) from error
    finally:
        await connection.close()


class Foreseen(NamedTuple):
    """What `migrate` would do, each in order: roles that it would create, repeatable files of other versions whose
    views and functions would go, and files that it would run, with whether they are new or changed. Repeatable files
    that did not change run with the others.
    """

    roles: Sequence[str]
    removed: Sequence[str]
    files: Sequence[tuple[str, bool]]


async def foreseen(url: str) -> Foreseen:
    """What `migrate` would do. Changes nothing, and waits for nobody.

    Raises:
        SetupError: see `pending`; or the database's user may not read which files are applied.
    """
    connection = await connected(url, f"{APPLICATION_NAME}/migrate")
    try:
        async with connection.transaction(readonly=True):
            roles = [row["name"] for row in await connection.fetch(_QUERIES["missing_roles"], ROLES)]
            began = await connection.fetchval(_QUERIES["began"])
            known, applied = migrations(), await checksums(connection) if began else {}
    except asyncpg.InsufficientPrivilegeError as error:
        raise SetupError(f"the database's user lacks a right: {error}") from error
    finally:
        await connection.close()
    todo, removed = pending(known, applied), _removed(known, applied)
    run = [m for m in known if m in todo or m.repeatable] if todo or removed else []
    return Foreseen(roles, removed, [(m.name, m in todo) for m in run])


async def checksums(connection: Any) -> dict[str, str]:
    """The files that are applied, by name."""
    return await _checksums(connection, "applied")


async def _checksums(connection: Any, query: str) -> dict[str, str]:
    return {row["name"]: row["checksum"] for row in await connection.fetch(_QUERIES[query])}


async def _apply_all(
    connection: Any, known: Sequence[Migration], todo: Sequence[Migration], removed: Sequence[str]
) -> None:
    """Drops views and functions first: they would keep tables from being changed."""
    await connection.execute("SET LOCAL search_path = pg_catalog")  # so that names have their schemas
    await _drop_repeatable(connection)
    await connection.execute("SET LOCAL search_path = sluice_core, sluice")
    for migration in (m for m in todo if not m.repeatable):
        await _apply(connection, migration)
    for migration in (m for m in known if m.repeatable):
        await _apply(connection, migration)
    await connection.execute("SET LOCAL search_path = pg_catalog")
    await connection.execute(_QUERIES["note_made"])
    await connection.executemany(_QUERIES["record"], [(m.name, m.checksum) for m in todo])
    await connection.execute(_QUERIES["forget"], removed)


async def _drop_repeatable(connection: Any) -> None:
    """Drops what the repeatable files made.

    Raises:
        SetupError: a view or function that is not Sluice's depends on one of them.
    """
    made = await connection.fetch(_QUERIES["made"])
    for kind, query in (("VIEW", "drop_views"), ("FUNCTION", "drop_functions")):
        names = ", ".join(row["name"] for row in made if row["kind"] == kind)
        try:
            if names:
                await connection.execute(_QUERIES[query].format(names=names))
        except asyncpg.DependentObjectsStillExistError as error:
            others = error.as_dict().get("detail")
            raise SetupError(
                f"views and functions of Sluice are made again, and others depend on them: {others}. "
                "Drop those, run `sluice migrate` again, and create them again"
            ) from error


async def _apply(connection: Any, migration: Migration) -> None:
    try:
        await connection.execute(migration.sql)
    except asyncpg.InsufficientPrivilegeError:
        raise
    except PostgresError as error:
        raise SetupError(f"migration {migration.name} failed: {error}") from error


async def _make_roles(connection: Any) -> None:
    """Creates the roles that migrations grant rights to, if this login may. Another database of the same server may
    have created them.

    Raises:
        SetupError: some are missing, and this login may not create them.
    """
    missing = [row["name"] for row in await connection.fetch(_QUERIES["missing_roles"], ROLES)]
    if missing and not await connection.fetchval(_QUERIES["may_make_roles"]):
        statements = " ".join(f"CREATE ROLE {name} NOLOGIN;" for name in missing)
        raise SetupError(
            "roles are missing, and the database's user may not make them: it lacks the right CREATEROLE. An "
            f"administrator of the server runs, once: {statements} Then run `sluice migrate` again"
        )
    for name in missing:
        with suppress(
            asyncpg.DuplicateObjectError, asyncpg.UniqueViolationError
        ):  # another process created it meanwhile
            await connection.execute(f"CREATE ROLE {name} NOLOGIN")


async def _become_owner(connection: Any) -> None:
    """Switches to the role that created the schema, so that it owns everything new: default privileges belong to the
    owner.

    Raises:
        SetupError: this login may not become the owner.
    """
    owner = await connection.fetchval(_QUERIES["owner"])
    if owner is None:
        return
    try:
        await connection.execute(f"SET ROLE {owner}")
    except asyncpg.InsufficientPrivilegeError as error:
        raise SetupError(
            f"the database's user lacks a right: the schema sluice_core belongs to {owner}. Run `sluice migrate` as "
            "that role, as a member of it, or as a superuser"
        ) from error


async def check(connection: Any) -> None:
    """Refuses a database whose schema is not up to date. Works for any login that may read something.

    Raises:
        SetupError: migrations are missing, edited or newer than this version.
    """
    if not await connection.fetchval(_QUERIES["exists"]):
        raise SetupError("the database's schema is not up to date: run `sluice migrate`")
    known, applied = migrations(), await _checksums(connection, "known")
    differing = [*(m.name for m in pending(known, applied)), *_removed(known, applied)]
    if differing:
        raise SetupError(
            f"the database is of another version of Sluice ({', '.join(differing)}): "
            "run `sluice migrate` of the newest version"
        )


async def check_worker(connection: Any) -> None:
    """As `check`, and refuses a login that may only read, which cannot see most tables.

    Raises:
        SetupError: see `check`; or the login may only read.
    """
    await check(connection)
    if not await connection.fetchval(_QUERIES["works"]):
        raise SetupError(
            "the database's user lacks a right: it may only read, and this needs a login of the role sluice_worker"
        )
