"""What `sluice doctor` asks the database, as facts for `workers.rules.database_checks`."""

from collections.abc import Callable, Mapping
from typing import Any, Final

from asyncpg import exceptions as pg

from workers.errors import SetupError
from workers.rules.clock_checks import ClockReading
from workers.rules.database_checks import ConnectionLimit, DatabaseFacts
from workers.store import migrate
from workers.store.queries import load

_SQL: Final = load("inspection")
_SETTINGS: Final = (
    "fsync",
    "full_page_writes",
    "synchronous_commit",
    "server_encoding",
    "default_transaction_read_only",
    "autovacuum",
    "statement_timeout",
)
_LOOKS: Final = 5


async def facts(connection: Any, role: str) -> DatabaseFacts:
    """About the server and this login, whose rights are compared with those of the role."""
    about = await connection.fetchrow(_SQL["about"], list(migrate.ROLES))
    settings = {row["name"]: row["setting"] for row in await connection.fetch(_SQL["settings"], list(_SETTINGS))}
    fault, schema = await _schema(connection)
    return DatabaseFacts(
        version=about["version"],
        login=about["login"],
        superuser=about["superuser"],
        standby=about["standby"],
        roles=about["roles"],
        lacking=[row[0] for row in await connection.fetch(_SQL["lacking"], role)],
        schema_fault=fault,
        schema=schema,
        settings=settings,
        limits=[ConnectionLimit(*row) for row in await connection.fetch(_SQL["limits"])],
    )


async def _schema(connection: Any) -> tuple[str | None, int | None]:
    """Why the schema is not that of this version, and the number of its newest migration, as far as it can be read."""
    try:
        await migrate.check(connection)
    except SetupError as error:
        return str(error), await _number(connection)
    except pg.PostgresError as error:
        return f"it cannot be read: {error}", None
    return None, migrate.newest()


async def _number(connection: Any) -> int | None:
    try:
        return await migrate.applied_number(connection)
    except pg.PostgresError:
        return None


async def highest_partitions(connection: Any) -> Mapping[str, int]:
    """The highest partition with an applied record, of each topic that has one. None if the login may not read it."""
    try:
        return dict(await connection.fetch(_SQL["progress"]))
    except pg.PostgresError:
        return {}


async def clock(connection: Any, now: Callable[[], float]) -> ClockReading:
    """How far the server's clock is ahead of `now` (Unix time, seconds): the tightest of several looks."""
    tightest = ClockReading("the database", None, None)
    width = float("inf")
    for _ in range(_LOOKS):
        before = now()
        theirs = await connection.fetchval(_SQL["clock"])
        after = now()
        if after - before < width:
            width = after - before
            tightest = ClockReading(tightest.of, theirs - after, theirs - before)
    return tightest
