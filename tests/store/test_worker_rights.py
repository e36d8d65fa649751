"""A login of the role `sluice_worker` does what workers do and nothing more. That it suffices is seen by the acceptance
tests: their workers use such a login.
"""

from collections.abc import AsyncIterator
from typing import Final

import asyncpg
import pytest
from asyncpg import Pool

from tests.support.databases import worker_of

FORBIDDEN: Final = [
    "CREATE TABLE sluice_core.t ()",
    "CREATE TABLE sluice.t ()",
    "CREATE TABLE public.t ()",
    "CREATE VIEW sluice.v AS SELECT 1",
    "CREATE OR REPLACE FUNCTION sluice_core.f() RETURNS int LANGUAGE sql AS 'SELECT 1'",
    "CREATE SCHEMA s",
    "ALTER TABLE sluice_core.messages DISABLE TRIGGER ALL",
    "ALTER TABLE sluice_core.dead_letters ADD COLUMN more text",
    "CREATE INDEX ON sluice_core.messages (channel)",
    "CREATE TRIGGER t BEFORE INSERT ON sluice_core.sends EXECUTE FUNCTION suppress_redundant_updates_trigger()",
    "DROP TABLE sluice_core.messages",
    "DROP VIEW sluice.sends",
    "DROP SCHEMA sluice CASCADE",
    "INSERT INTO sluice_core.migrations VALUES ('9999_x.sql', 'x')",
    "UPDATE sluice_core.migrations SET checksum = ''",
    "DELETE FROM sluice_core.migrations",
    "UPDATE sluice_core.send_confirmations SET outcome = 'refused'",
    "DELETE FROM sluice_core.send_confirmations",
    "GRANT sluice_worker TO sluice_reader",
    "CREATE ROLE r",
    "ALTER ROLE postgres PASSWORD 'x'",
    "SET ROLE postgres",
    "SET ROLE pg_read_all_data",
    "SET session_replication_role = replica",
    "COPY sluice_core.messages TO PROGRAM 'cat'",
    "COPY sluice_core.contacts TO '/tmp/contacts'",
    "SELECT pg_read_file('/etc/passwd')",
    "SELECT rolpassword FROM pg_authid",
    "SELECT pg_reload_conf()",
    "CREATE DATABASE d",
]


@pytest.fixture
async def worker(database: str) -> AsyncIterator[asyncpg.Connection]:
    connection = await asyncpg.connect(await worker_of(database))
    yield connection
    await connection.close()


@pytest.mark.parametrize("statement", FORBIDDEN)
async def test_what_no_worker_needs_is_refused(worker: asyncpg.Connection, statement: str) -> None:
    with pytest.raises(asyncpg.InsufficientPrivilegeError):
        await worker.execute(statement)


async def test_no_table_can_be_emptied_and_every_one_be_read(worker: asyncpg.Connection) -> None:
    own = "SELECT relid::regclass::text FROM pg_stat_user_tables WHERE schemaname = 'sluice_core' ORDER BY 1"
    tables = [row[0] for row in await worker.fetch(own)]
    assert len(tables) > 30
    for table in tables:
        await worker.execute(f"SELECT FROM {table} LIMIT 1")
        with pytest.raises(asyncpg.InsufficientPrivilegeError):
            await worker.execute(f"TRUNCATE {table}")


async def test_what_the_console_keeps_is_none_of_its_business(worker: asyncpg.Connection) -> None:
    query = "SELECT 'sluice_console.' || relname FROM pg_stat_user_tables WHERE schemaname = 'sluice_console'"
    tables = [row[0] for row in await worker.fetch(query)]
    assert tables != []
    for table in tables:
        with pytest.raises(asyncpg.InsufficientPrivilegeError):
            await worker.execute(f"SELECT FROM {table} LIMIT 1")


async def test_tables_of_later_migrations_are_read_and_written_but_not_emptied(
    pool: Pool, worker: asyncpg.Connection
) -> None:
    await pool.execute("CREATE TABLE sluice_core.of_tomorrow (a int)")
    await worker.execute("INSERT INTO sluice_core.of_tomorrow VALUES (1)")
    await worker.execute("UPDATE sluice_core.of_tomorrow SET a = 2")
    with pytest.raises(asyncpg.InsufficientPrivilegeError):
        await worker.execute("TRUNCATE sluice_core.of_tomorrow")
    await worker.execute("DELETE FROM sluice_core.of_tomorrow")


async def test_it_is_in_no_other_role_and_owns_nothing(pool: Pool) -> None:
    query = """
        SELECT count(*) FROM pg_auth_members WHERE member = 'sluice_worker'::regrole
        UNION ALL
        SELECT count(*) FROM pg_shdepend WHERE refobjid = 'sluice_worker'::regrole AND deptype = 'o'
        UNION ALL
        SELECT count(*) FROM pg_roles WHERE rolname = 'sluice_worker'
            AND (rolcanlogin OR rolsuper OR rolcreaterole OR rolcreatedb OR rolreplication OR rolbypassrls)
    """
    assert [row[0] for row in await pool.fetch(query)] == [0, 0, 0]


async def test_no_public_function_is_for_everybody(pool: Pool) -> None:
    """One made without REVOKE would run for logins of sluice_billing as well, with the rights of its owner."""
    query = """
        SELECT p.oid::regprocedure::text FROM pg_proc p, aclexplode(coalesce(p.proacl, acldefault('f', p.proowner))) a
        WHERE p.pronamespace = 'sluice'::regnamespace AND a.grantee = 0
    """
    assert await pool.fetch(query) == []
