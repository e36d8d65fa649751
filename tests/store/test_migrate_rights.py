"""Who may migrate: a superuser, an owner with CREATEROLE, or an owner if the roles exist."""

import tempfile
from collections.abc import AsyncIterator, Iterator
from pathlib import Path
from typing import Final
from urllib.parse import urlsplit, urlunsplit

import asyncpg
import pytest

from tests.support.postgres import installed, postgres
from workers.dev.postgres import embedded_postgres
from workers.errors import SetupError
from workers.store.migrate import ROLES, migrate, migrations

FILES: Final = migrations()
ALL: Final = [m.name for m in FILES]
PEOPLE: Final = ("owner", "maker", "stranger", "member")


@pytest.fixture(scope="module", params=["embedded", *installed()[:1]])
def server(request: pytest.FixtureRequest) -> Iterator[str]:
    """A server of its own: roles belong to the whole server, and others need them."""
    if request.param != "embedded":
        with postgres(request.param) as url:
            yield url
        return
    with (
        tempfile.TemporaryDirectory(prefix="sluice-postgres-", ignore_cleanup_errors=True) as folder,
        embedded_postgres(Path(folder) / "data", {"fsync": "off"}) as url,
    ):
        yield url


@pytest.fixture
async def admin(server: str) -> AsyncIterator[asyncpg.Connection]:
    """A superuser of a server with an empty database `owned`, and none of Sluice's roles."""
    connection = await asyncpg.connect(server)
    for name, rights in zip(PEOPLE, ("", "CREATEROLE", "", ""), strict=True):
        await connection.execute(f"CREATE ROLE {name} LOGIN {rights}")
    await connection.execute("CREATE DATABASE owned OWNER owner")
    yield connection
    await connection.execute("DROP DATABASE owned WITH (FORCE)")
    for name in (*ROLES, *PEOPLE):
        await connection.execute(f"DROP ROLE IF EXISTS {name}")
    await connection.close()


async def _owned_by(admin: asyncpg.Connection, owner: str) -> None:
    await admin.execute(f"ALTER DATABASE owned OWNER TO {owner}")


def _as(server: str, name: str) -> str:
    return urlunsplit(urlsplit(server)._replace(netloc=f"{name}:@", path="/owned"))


async def _readers_see_everything(server: str, admin: asyncpg.Connection) -> None:
    await admin.execute("CREATE ROLE some_reader LOGIN IN ROLE sluice_reader")
    try:
        connection = await asyncpg.connect(_as(server, "some_reader"))
        try:
            views = await connection.fetch(
                "SELECT table_name FROM information_schema.views WHERE table_schema = 'sluice'"
            )
            assert len(views) > 25
            for (view,) in views:
                await connection.fetch(f"TABLE sluice.{view}")
        finally:
            await connection.close()
    finally:
        await admin.execute("DROP ROLE some_reader")


async def test_a_superuser_makes_what_is_missing(server: str, admin: asyncpg.Connection) -> None:
    assert await migrate(urlunsplit(urlsplit(server)._replace(path="/owned"))) == ALL
    await _readers_see_everything(server, admin)


async def test_an_owner_who_may_make_roles_makes_them(server: str, admin: asyncpg.Connection) -> None:
    await _owned_by(admin, "maker")
    assert await migrate(_as(server, "maker")) == ALL
    await _readers_see_everything(server, admin)


async def test_an_owner_who_may_not_make_roles_uses_those_that_are_there(
    server: str, admin: asyncpg.Connection
) -> None:
    with pytest.raises(SetupError) as refused:
        await migrate(_as(server, "owner"))
    told = str(refused.value)
    assert "\n" not in told
    statements = told.split("runs, once: ")[1].split(" Then run", maxsplit=1)[0]
    assert [f"CREATE ROLE {name} NOLOGIN" for name in ROLES] == statements.rstrip(";").split("; ")

    await admin.execute(statements)
    assert await migrate(_as(server, "owner")) == ALL
    assert await migrate(_as(server, "owner")) == []
    await _readers_see_everything(server, admin)


async def test_only_the_missing_roles_are_asked_for(server: str, admin: asyncpg.Connection) -> None:
    await admin.execute("CREATE ROLE sluice_worker NOLOGIN")
    with pytest.raises(SetupError) as refused:
        await migrate(_as(server, "owner"))
    assert "CREATE ROLE sluice_worker " not in str(refused.value)
    assert "CREATE ROLE sluice_reader NOLOGIN;" in str(refused.value)


async def test_whoever_migrates_later_makes_things_for_the_schemas_owner(
    server: str, admin: asyncpg.Connection, monkeypatch: pytest.MonkeyPatch
) -> None:
    await admin.execute("GRANT owner TO member")
    await admin.execute("".join(f"CREATE ROLE {name} NOLOGIN;" for name in ROLES))
    for people, some in (("owner", FILES[:2]), ("member", FILES[:5]), ("", FILES)):
        url = _as(server, people) if people else urlunsplit(urlsplit(server)._replace(path="/owned"))
        with monkeypatch.context() as patch:
            patch.setattr("workers.store.migrate.migrations", lambda some=some: some)
            assert await migrate(url)
    connection = await asyncpg.connect(_as(server, "owner"))
    try:
        owners = await connection.fetch(
            "SELECT DISTINCT pg_get_userbyid(relowner) FROM pg_class WHERE relnamespace::regnamespace::text ~ '^sluice'"
        )
    finally:
        await connection.close()
    assert [tuple(row) for row in owners] == [("owner",)]
    await _readers_see_everything(server, admin)


async def test_a_stranger_is_told_who_may(server: str, admin: asyncpg.Connection) -> None:
    await admin.execute("".join(f"CREATE ROLE {name} NOLOGIN;" for name in ROLES))
    with pytest.raises(SetupError, match="permission denied for database owned.* as the database's owner"):
        await migrate(_as(server, "stranger"))
    assert await migrate(_as(server, "owner")) == ALL
    with pytest.raises(SetupError, match="the schema sluice_core belongs to owner"):
        await migrate(_as(server, "stranger"))
