"""What each role may do, over all relations and functions: docs/operations.md says the same."""

from typing import Final

import pytest
from asyncpg import Pool

RIGHTS: Final = """
    SELECT n.nspname || '.' || c.relname AS name, p.privilege
    FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace
    CROSS JOIN unnest(array['SELECT', 'INSERT', 'UPDATE', 'DELETE', 'TRUNCATE', 'REFERENCES', 'TRIGGER'])
        AS p (privilege)
    WHERE n.nspname IN ('sluice', 'sluice_core', 'sluice_console') AND c.relkind IN ('r', 'v', 'm', 'p', 'f')
        AND has_schema_privilege($1, n.oid, 'USAGE') AND has_table_privilege($1, c.oid, p.privilege)
"""
COLUMNS: Final = """
    SELECT n.nspname || '.' || c.relname AS name, p.privilege
    FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace
    CROSS JOIN unnest(array['SELECT', 'INSERT', 'UPDATE', 'REFERENCES']) AS p (privilege)
    WHERE n.nspname IN ('sluice', 'sluice_core', 'sluice_console') AND c.relkind IN ('r', 'v', 'm', 'p', 'f')
        AND has_schema_privilege($1, n.oid, 'USAGE') AND has_any_column_privilege($1, c.oid, p.privilege)
        AND NOT has_table_privilege($1, c.oid, p.privilege)
"""
FUNCTIONS: Final = """
    SELECT DISTINCT p.proname FROM pg_proc p
    WHERE p.pronamespace = 'sluice'::regnamespace AND has_function_privilege($1, p.oid, 'EXECUTE')
"""
RELATIONS: Final = """
    SELECT n.nspname || '.' || c.relname FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace
    WHERE n.nspname = $1 AND c.relkind = ANY ($2)
"""
BESIDE: Final = """
    SELECT d.datname, p.privilege FROM pg_database d CROSS JOIN unnest(array['CREATE']) AS p (privilege)
    WHERE d.datname = current_database() AND has_database_privilege($1, d.oid, p.privilege)
    UNION ALL
    SELECT n.nspname, 'CREATE' FROM pg_namespace n
    WHERE n.nspname !~ '^pg_(toast|temp)' AND has_schema_privilege($1, n.oid, 'CREATE')
"""
EVERYTHING: Final = {"SELECT", "INSERT", "UPDATE", "DELETE"}
KEPT_FROM_WORKERS: Final = {
    "sluice_core.migrations": {"INSERT", "UPDATE", "DELETE"},
    "sluice_core.repeatable_objects": {"INSERT", "UPDATE", "DELETE"},
    "sluice_core.generations": {"DELETE"},
    "sluice_core.message_fingerprints": {"DELETE"},
    "sluice_core.contact_locks": {"INSERT", "DELETE"},
    "sluice_core.send_confirmations": {"UPDATE", "DELETE"},
}
OF_BILLING: Final = {
    *("mac_counts", "mac_contacts", "mac_adjustments", "mac_proofs", "mac_days", "mac_bounds", "mac_accounts"),
    *("drop_ledger", "settings_in_effect", "migrations", "counting_again", "verifications", "verification_round"),
}
OF_SENDERS: Final = {"sends", "send_attempts", "send_groups", "held_sends", "send_confirmations"}
ROLES: Final = ("sluice_worker", "sluice_reader", "sluice_billing", "sluice_sender", "sluice_console")


async def rights(pool: Pool, role: str) -> dict[str, set[str]]:
    found: dict[str, set[str]] = {}
    for name, privilege in await pool.fetch(RIGHTS, role):
        found.setdefault(name, set()).add(privilege)
    return found


async def relations(pool: Pool, schema: str, *kinds: str) -> set[str]:
    return {name for (name,) in await pool.fetch(RELATIONS, schema, [kind.encode() for kind in kinds])}


def read(names: set[str]) -> dict[str, set[str]]:
    return {name if "." in name else f"sluice.{name}": {"SELECT"} for name in names}


async def test_workers_write_tables_and_read_views(pool: Pool) -> None:
    tables = await relations(pool, "sluice_core", "r", "p")
    found = await rights(pool, "sluice_worker")
    assert {name: found.get(name) for name in tables} == {
        name: EVERYTHING - KEPT_FROM_WORKERS.get(name, set()) for name in tables
    }
    rest = {name: granted for name, granted in found.items() if name not in tables}
    assert {name.partition(".")[0] for name in rest} == {"sluice", "sluice_core"}
    assert await relations(pool, "sluice", "v") <= rest.keys()
    assert all(granted <= EVERYTHING for granted in rest.values())


async def test_readers_read_the_public_views(pool: Pool) -> None:
    assert await rights(pool, "sluice_reader") == read(await relations(pool, "sluice", "v"))


async def test_billing_and_senders_read_a_few_of_them(pool: Pool) -> None:
    assert await rights(pool, "sluice_billing") == read(OF_BILLING)
    assert await rights(pool, "sluice_sender") == read(OF_SENDERS)


async def test_the_console_reads_as_readers_do_and_keeps_its_own_tables(pool: Pool) -> None:
    own = dict.fromkeys(await relations(pool, "sluice_console", "r"), EVERYTHING)
    assert own
    assert await rights(pool, "sluice_console") == await rights(pool, "sluice_reader") | own


@pytest.mark.parametrize("role", ROLES)
async def test_nobody_has_a_right_on_single_columns_or_may_create_anything(pool: Pool, role: str) -> None:
    assert await pool.fetch(COLUMNS, role) == []
    assert await pool.fetch(BESIDE, role) == []


async def test_functions_that_act_are_for_those_who_need_them(pool: Pool) -> None:
    may = {role: {name for (name,) in await pool.fetch(FUNCTIONS, role)} for role in ROLES}
    assert may["sluice_sender"] == {"claim_send", "may_send", "join_senders", "leave_senders"}
    assert may["sluice_console"] - may["sluice_reader"] == {"dead_letter_settle"}
    assert may["sluice_reader"].isdisjoint({"claim_send", "dead_letter_settle", "join_senders", "leave_senders"})
    assert {name for name in may["sluice_billing"] if not name.startswith("verify_")} == {
        *("explain_mac", "counted_page"),
    }


@pytest.mark.parametrize("role", ROLES)
async def test_no_role_logs_in_or_is_in_another_one_that_writes(pool: Pool, role: str) -> None:
    query = """
        SELECT rolcanlogin OR rolsuper OR rolcreaterole OR rolcreatedb OR rolreplication OR rolbypassrls
        FROM pg_roles WHERE rolname = $1
    """
    assert await pool.fetchval(query, role) is False
    member_of = "SELECT roleid::regrole::text FROM pg_auth_members WHERE member = $1::regrole"
    assert {name for (name,) in await pool.fetch(member_of, role)} <= {"sluice_reader"}
