"""No statement of the workers reads a whole table: what it costs must not grow with what is stored.

Every named query is explained on filled tables twice: as PostgreSQL plans it for a batch of 200 keys, and as it plans
it once for all batches. A new query is in the test from its first day; one that must read much says here why it may.
"""

import json
import re
from collections import Counter
from collections.abc import AsyncIterator, Iterator, Mapping
from importlib import resources
from typing import Any, Final

import pytest
import pytest_asyncio
from asyncpg import Pool

from tests.support.databases import Databases
from workers.store import message_generations
from workers.store.pool import pool_of
from workers.store.queries import load

KEYS: Final = 200

GROWING: Final = frozenset(
    {
        "address_hashes",
        "block_commands",
        "commands",
        "comments",
        "contact_index",
        "contact_locks",
        "contact_tags",
        "contacts",
        "deleted_contacts",
        "deleted_identities",
        "identities",
        "mac_contacts",
        "message_fingerprints",
        "messages",
        "profile_notes",
        "profiles",
        "send_attempts",
        "sends",
        "shared_values",
        "workflow_runs",
    }
)

FILL: Final = """
CREATE FUNCTION pg_temp.w(n int) RETURNS text LANGUAGE sql AS $$
    SELECT CASE WHEN n % 5 = 0 THEN 'w' || n % 60 ELSE 'acme' END
$$;
CREATE FUNCTION pg_temp.u(n int) RETURNS uuid LANGUAGE sql AS $$ SELECT md5(n::text)::uuid $$;
INSERT INTO workspaces (workspace_id, first_message_at)
    SELECT DISTINCT pg_temp.w(n), '2026-01-01'::timestamptz FROM generate_series(1, 300) n;
INSERT INTO channels (workspace_id, channel_id, channel) SELECT workspace_id, 'wa-main', 'whatsapp' FROM workspaces;
INSERT INTO contacts (workspace_id, contact_id, phone, profile_id, blocked_at, blocks, opened_at)
    SELECT pg_temp.w(n), pg_temp.u(n), '+49' || n, CASE WHEN n % 4 = 0 THEN 'p' || n % 2000 END,
        CASE WHEN n % 50 = 0 THEN '2026-02-01'::timestamptz END,
        CASE WHEN n % 50 = 0 THEN ARRAY[tstzrange('2026-02-01', NULL)] ELSE '{}' END, '2026-01-02'
    FROM generate_series(1, 20000) n;
INSERT INTO identities (workspace_id, channel, scope, lookup, address, contact_id)
    SELECT pg_temp.w(n), 'whatsapp', '', '+49' || n, '+49' || n, pg_temp.u(n) FROM generate_series(1, 20000) n;
INSERT INTO contact_index (workspace_id, contact_id, phones, emails)
    SELECT workspace_id, contact_id, ARRAY[phone], '{}' FROM contacts;
INSERT INTO shared_values (workspace_id, field, value) SELECT workspace_id, 'phone', phone FROM contacts;
INSERT INTO identities (workspace_id, channel, scope, lookup, address, contact_id, removed_at, ended_at)
    SELECT pg_temp.w(n), 'whatsapp', '', '+49' || n, '+49' || n, pg_temp.u(n), '2025-01-01', '2025-01-01'
    FROM generate_series(1, 20000, 7) n;
UPDATE contacts c SET merged_into = pg_temp.u(n + 5) FROM generate_series(11, 19000, 40) n
    WHERE c.workspace_id = pg_temp.w(n) AND c.contact_id = pg_temp.u(n);
UPDATE identities i SET home_id = pg_temp.u(n), contact_id = pg_temp.u(n + 5) FROM generate_series(11, 19000, 40) n
    WHERE i.workspace_id = pg_temp.w(n) AND i.contact_id = pg_temp.u(n);
UPDATE generations SET closed_at = now();
INSERT INTO generations (generation, closed_at, began_bytes)
    SELECT n, CASE WHEN n < 7 THEN now() END, 0 FROM generate_series(1, 7) n;
INSERT INTO messages (generation, workspace_id, message_id, identity_id, channel_id, channel, kind, event_time,
        drop_reason, block_start, mac_rule, counted, decided_at, content_digest, body, erase_at)
    SELECT n % 8, i.workspace_id, pg_temp.u(n), i.identity_id, 'wa-main', 'whatsapp', 'message',
        '2026-01-01'::timestamptz + n * interval '1 minute', CASE WHEN n % 10 = 0 THEN 'contact_blocked' END,
        CASE WHEN n % 10 = 0 THEN '2026-01-01'::timestamptz END, CASE WHEN n % 10 = 0 THEN 'next_cycle' END, true,
        now(), n, json_build_object('sender', json_build_object('name', 'N' || n), 'content',
        json_build_object('text', repeat('x', 150))),
        CASE WHEN n % 10 = 0 THEN '2026-09-01'::timestamptz + n * interval '1 minute' END
    FROM generate_series(1, 50000) n JOIN identities i ON i.lookup = '+49' || (n % 20000 + 1)
        AND i.ended_at IS NULL;
INSERT INTO mac_cycles (workspace_id, cycle_start, cycle_end)
    SELECT workspace_id, '2026-01-01'::timestamptz + m * interval '1 month',
        '2026-02-01'::timestamptz + m * interval '1 month'
    FROM workspaces, generate_series(0, 5) m;
INSERT INTO mac_contacts (workspace_id, cycle_start, contact_id, first_message_id, first_counted_at)
    SELECT workspace_id, '2026-01-01'::timestamptz + m * interval '1 month', contact_id, contact_id, now()
    FROM contacts, generate_series(0, 1) m;
INSERT INTO block_commands (workspace_id, contact_id, issued_at, unblocks, command_id, actor_id)
    SELECT pg_temp.w(n), pg_temp.u(n), '2026-02-01', false, pg_temp.u(n), 'ann' FROM generate_series(1, 20000) n;
INSERT INTO contact_tags (workspace_id, contact_id, tag, present, written_at, written_by)
    SELECT pg_temp.w(n), pg_temp.u(n), 't' || (n + t) % 100, t > 0, now(), pg_temp.u(n)
    FROM generate_series(1, 20000) n, generate_series(0, 2) t;
INSERT INTO comments (workspace_id, contact_id, written_at, comment_id, author, text)
    SELECT pg_temp.w(n), pg_temp.u(n), now(), pg_temp.u(n), 'ann', 'called' FROM generate_series(1, 20000) n;
INSERT INTO deletions (workspace_id, deletion_id, requested_at, contacts)
    SELECT workspace_id, pg_temp.u(n), now(), 100 FROM workspaces, generate_series(1, 4) n;
INSERT INTO deleted_contacts (workspace_id, contact_id, deletion_id, deleted_at, erased)
    SELECT pg_temp.w(n), pg_temp.u(-n), pg_temp.u(n % 4 + 1), '2026-01-20', n % 10 > 0 FROM generate_series(1, 20000) n;
INSERT INTO deleted_identities (workspace_id, identity_id, contact_id, channel, scope, lookup, address, erased)
    SELECT pg_temp.w(n), -n, pg_temp.u(-n), 'whatsapp', '', '+48' || n, '+48' || n, n % 10 > 0
    FROM generate_series(1, 20000) n;
INSERT INTO hash_keys SELECT 'k' || n FROM generate_series(0, 99) n;
INSERT INTO address_hashes (workspace_id, hash, identity_id, key_id, contact_id, ended_at, forget_at, blocked)
    SELECT pg_temp.w(n), sha256(n::text::bytea), -n, 'k' || n % 100, pg_temp.u(-n), '2026-01-20',
        '2026-02-03'::timestamptz + n * interval '1 minute', n % 10 = 0
    FROM generate_series(1, 20000) n;
UPDATE contacts SET edited = '{"phone": "+4999"}', snoozed_at = opened_at, snoozed_until = now()
    WHERE phone LIKE '%00';
INSERT INTO commands (workspace_id, command_id, command, actor_id, actor_role, issued_at, outcome, changed, applied_at)
    SELECT pg_temp.w(n), pg_temp.u(n), 'block_contact', 'ann', 'agent', now(), 'done', '{}',
        now() + n * interval '1 s'
    FROM generate_series(1, 20000) n;
INSERT INTO sends (workspace_id, send_id, group_id, contact_id, channel, channel_id, scope, lookup, address, content,
        source, run_id, step_id, requested_by, requested_role, requested_at, status, held_at, expires_at, retry_at,
        recheck_at, applied_at, updated_at)
    SELECT pg_temp.w(n), pg_temp.u(n), 'g' || n / 50, pg_temp.u(n), 'whatsapp', 'wa-main', '', '+49' || n, '+49' || n,
        json_build_object('type', 'text', 'text', repeat('x', 150)), 'inbox', 'r' || n, 's1', 'ann', 'agent', now(),
        CASE WHEN n % 4 = 0 THEN 'held' ELSE 'dispatched' END, CASE WHEN n % 4 = 0 THEN now() END,
        CASE WHEN n % 4 = 0 THEN now() + n * interval '1 s' END,
        CASE WHEN n % 100 = 1 THEN now() + n * interval '1 s' END,
        CASE WHEN n % 1000 = 2 THEN now() END, now(), now()
    FROM generate_series(1, 20000) n;
INSERT INTO send_attempts (workspace_id, send_id, attempt, channel_id, status, dispatched_at, provider_message_id)
    SELECT workspace_id, send_id, 1, channel_id, 'dispatched', now(), 'p' || lookup
    FROM sends WHERE status = 'dispatched';
INSERT INTO workflow_runs (workspace_id, run_id, workflow_id, contact_id, trigger, parent_run_id, started_at,
        finished_at, state, revision)
    SELECT pg_temp.w(n), 'r' || n, 'w', pg_temp.u(n), 'automatic', CASE WHEN n % 10 = 0 THEN 'r' || n - 5 END, now(),
        CASE WHEN n % 2 = 0 THEN now() END, CASE WHEN n % 2 = 0 THEN 'finished' ELSE 'running' END, 1
    FROM generate_series(1, 20000) n;
INSERT INTO workflow_runs (workspace_id, run_id, workflow_id, contact_id, trigger, parent_run_id, started_at, state,
        revision)
    SELECT 'acme', 'c' || n, 'w', pg_temp.u(1), 'automatic', 'r1', now(), 'running', 1 FROM generate_series(1, 60000) n;
INSERT INTO profiles (workspace_id, profile_id, name, name_key, name_grams, created_by, created_at)
    SELECT workspace_id, 'p' || n, 'P' || n, 'p' || n, ARRAY[n], 'ann', now()
    FROM workspaces, generate_series(0, 300) n;
INSERT INTO profile_notes (workspace_id, profile_id, note_id, text, created_by, created_at, deleted_at)
    SELECT pg_temp.w(n), 'p' || n % 300, 'n' || n, repeat('x', 100), 'ann', now(), CASE WHEN n % 3 = 0 THEN now() END
    FROM generate_series(1, 20000) n;
"""
SEALED: Final = 6  # of the eight generations; one more is closed

# Queues after a while: what was in them is dead and not vacuumed away, and statistics were gathered since.
WEAR: Final = """
ALTER TABLE batch_outbox SET (autovacuum_enabled = off);
ALTER TABLE outbox SET (autovacuum_enabled = off);
INSERT INTO progress (topic, partition, consumer_group, lease, generation, next_offset)
    SELECT 'messages.inbound', n, 'sluice-inbound', '00000000-0000-0000-0000-000000000001', 1, 1
    FROM generate_series(0, 11) n;
INSERT INTO batch_outbox (topic, partition, next_offset, events)
    SELECT 'messages.inbound', n % 12, n, decode(repeat('00', 900), 'hex') FROM generate_series(1, 20000) n;
INSERT INTO outbox (topic, key, value, ce_id, workspace_id, time)
    SELECT 'contacts.changes', 'k', decode(repeat('00', 900), 'hex'), gen_random_uuid(), 'acme', now()
    FROM generate_series(1, 20000) n;
DELETE FROM batch_outbox WHERE next_offset > 5;
DELETE FROM outbox WHERE id > 5;
ANALYZE;
"""
QUEUES: Final[Mapping[str, tuple[str, str]]] = {
    "batch_outbox.store": ("batch_outbox_pkey", "next_offset"),
    "batch_outbox.delete_published": ("batch_outbox_pkey", "next_offset"),
    "job_outbox.published": ("outbox_pkey", "id"),
}


def queries() -> Iterator[tuple[str, str]]:
    """Every statement that can be explained, as `family.name`."""
    for file in sorted(resources.files("workers.store").joinpath("queries").iterdir(), key=lambda f: f.name):
        family = file.name.removesuffix(".sql")
        for name, text in load(family).items():
            statement = re.sub(r"--.*$", "", text, flags=re.MULTILINE).strip("( \n")
            if re.match(r"(SELECT|WITH|INSERT|UPDATE|DELETE)\b", statement):
                yield f"{family}.{name}", text


# What an inbox asks of one contact.
VIEWS: Final = (
    "conversation_messages",
    "contact_overview",
    "contact_channels",
    "inbox",
    "drop_ledger",
    "held_sends",
    "sends",
    "mac_proofs",
)

VIEW_QUERIES: Final = (
    {
        f"view {view}": f"SELECT * FROM sluice.{view} WHERE workspace_id = $1::text AND contact_id = $2::uuid"  # noqa: S608
        for view in VIEWS
    }
    | {
        f"view {view}": f"SELECT * FROM sluice.{view} WHERE workspace_id = $1::text AND profile_id = $2::text"  # noqa: S608
        for view in ("profile_overview", "profile_moments")
    }
    | {
        "view merge_suggestions": "SELECT * FROM sluice.merge_suggestions WHERE workspace_id = $1::text"
        " AND (field, value) > ($2::text, $3::text) ORDER BY field, value LIMIT 50",
        "view open_grounds": "SELECT code FROM open_grounds WHERE workspace_id = $1::text AND send_id = $2::uuid",
    }
)


def statements_of_functions() -> Iterator[tuple[str, str]]:
    """What the functions of the message path run, with their variables as parameters: EXPLAIN does not look inside."""
    folder = resources.files("workers.store") / "migrations" / "repeatable"
    text = "".join(
        (folder / name).read_text(encoding="utf-8")
        for name in ("40_contacts.sql", "45_suggestions.sql", "60_messages.sql")
    )
    for name, arguments, rest in re.findall(
        r"FUNCTION sluice_core\.(\w+)\(([^)]*)\)\nRETURNS TABLE(.*?)END \$\$", text, re.DOTALL
    ):
        declared, body = rest.split("BEGIN", 1)
        variables = re.findall(
            r"(\w+) ([\w ]+\[\]|timestamptz|text|integer|boolean)", arguments + declared.partition("DECLARE")[2]
        )
        statements = re.sub(r"--.*$", "", body, flags=re.MULTILINE)
        asking = (s for s in re.split(r";|\bTHEN\n", statements) if re.match(r"\s*(SELECT|PERFORM|RETURN QUERY)\b", s))
        for number, statement in enumerate(asking):
            query = re.sub(r"\bPERFORM\b", "SELECT", re.sub(r"RETURN QUERY|\bINTO [\w, ]+\n", "", statement)).strip()
            used = [(v, kind) for v, kind in variables if re.search(rf"\b{v}\b", query)]
            for position, (variable, kind) in enumerate(used):
                query = re.sub(rf"\b{variable}\b", f"${position + 1}::{kind}", query)
            yield f"function {name} {number}", query


FUNCTIONS: Final = dict(statements_of_functions())

QUERIES: Final = dict(queries()) | VIEW_QUERIES | FUNCTIONS

MAY_READ_MUCH: Final[Mapping[str, str]] = {
    "deletions.some_contacts": "once for a command that deletes all contacts of a workspace",
    "deletions.add_many": "the same",
    "deletions.count_concerned": "the same",
    "holds.confirmation_outcomes": "once for a group of more than ten thousand holds: may read all profiles",
    "recounts.number_of_contacts": "once for a setting that leads to more than one transaction can count again",
    "message_generations.seal": "reads a generation from end to end, once, when it is closed",
    "message_generations.note_sealed": "the same",
    "reports.backlog": "counts what waits, when an operator asks",
    **{name: "tells the whole of a day, once, when it is over" for name in QUERIES if name.startswith("demo.")},
}

pytestmark = pytest.mark.asyncio(loop_scope="module")


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def filled(databases: Databases) -> AsyncIterator[Pool]:
    async with databases.migrated() as url, pool_of(url, name="test", max_size=1) as pool:
        async with pool.acquire() as connection:
            await connection.execute(FILL)
            for _ in range(SEALED):
                async with connection.transaction():
                    assert await message_generations.seal(connection)
            await connection.execute("ANALYZE")
        yield pool


@pytest.mark.parametrize("name", sorted(QUERIES.keys() - MAY_READ_MUCH.keys()))
async def test_no_statement_reads_a_whole_table(filled: Pool, name: str) -> None:
    for mode in ("force_custom_plan", "force_generic_plan"):
        found = await plan(filled, name, mode)
        assert list(whole_reads(found)) == []
        assert list(skips(found)) == []


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def worn(databases: Databases) -> AsyncIterator[Pool]:
    async with databases.migrated() as url, pool_of(url, name="test", max_size=1) as pool:
        await pool.execute(WEAR)
        yield pool


@pytest.mark.parametrize("name", sorted(QUEUES))
async def test_what_leaves_a_queue_is_found_by_its_whole_key(worn: Pool, name: str) -> None:
    """Statistics speak of the few rows that live; what else the key's beginning leads to are thousands of dead ones."""
    index, column = QUEUES[name]
    for mode in ("force_custom_plan", "force_generic_plan"):
        nodes = list(_nodes(await plan(worn, name, mode)))
        [condition] = [node["Index Cond"] for node in nodes if node.get("Index Name") == index]
        assert column in condition


@pytest.mark.parametrize("name", sorted(FUNCTIONS))
async def test_what_a_poll_asks_for_is_no_join_to_plan(filled: Pool, name: str) -> None:
    """Before a table has statistics nothing says that a nested loop is best: there must be nothing else to choose."""
    for mode in ("force_custom_plan", "force_generic_plan"):
        found = await plan(filled, name, mode, settings="SET LOCAL enable_nestloop = off")
        assert list(whole_reads(found)) == []
        assert list(skips(found)) == []


@pytest.mark.parametrize("name", ["may_reach", "refusals"])
async def test_neither_does_a_question_of_a_composer(filled: Pool, name: str) -> None:
    query = "SELECT prosrc, proargtypes::oid[]::regtype[]::text[] FROM pg_proc WHERE proname = $1"
    body, kinds = await filled.fetchrow(query, name)
    for number, kind in enumerate(kinds, 1):
        body = body.replace(f"${number}", f"${number}::{kind}")
    for mode in ("force_custom_plan", "force_generic_plan"):
        assert list(whole_reads(await plan(filled, name, mode, body))) == []


async def test_every_exemption_is_still_needed_by_a_query() -> None:
    assert MAY_READ_MUCH.keys() <= QUERIES.keys()


async def test_the_statements_inside_functions_are_among_them() -> None:
    assert Counter(name.split()[1] for name in FUNCTIONS) == {
        "look_up_messages": 4,
        "find_senders": 3,
        "sharers": 2,
    }


async def test_a_statement_about_a_few_contacts_or_ids_looks_into_generations_by_index_alone(filled: Pool) -> None:
    """One that joined messages by their generation only would read all of it: the checks above must see that."""
    whole = "SELECT count(m.body) FROM messages m WHERE m.generation = $1::int"
    found = await plan(filled, "whole generation", "force_generic_plan", whole)
    assert list(whole_reads(found)) != []


async def plan(pool: Pool, name: str, mode: str, text: str = "", settings: str = "") -> Mapping[str, Any]:
    query = text or QUERIES[name]
    async with pool.acquire() as connection, connection.transaction():
        kinds = [parameter.name for parameter in (await connection.prepare(query)).get_parameters()]
        statement = f'"{name} {mode} {bool(settings)}"'
        # As on solid-state disks: else the planner rightly reads all of tables as small as these.
        await connection.execute(f"SET LOCAL random_page_cost = 1.1; {settings}")
        await connection.execute(f"SET LOCAL plan_cache_mode = {mode}; PREPARE {statement} AS {query}")
        values = [
            f"{_value('text[]')}::text" if f"${n}::text::text[]" in query else _value(kind)
            for n, kind in enumerate(kinds, 1)
        ]
        arguments = f"({', '.join(values)})" if kinds else ""
        explained = await connection.fetchval(f"EXPLAIN (FORMAT JSON) EXECUTE {statement}{arguments}")
    found: Mapping[str, Any] = json.loads(explained)[0]["Plan"]
    return found


def whole_reads(node: Mapping[str, Any], *, limited: bool = False) -> Iterator[str]:
    """Scans of growing tables, and of whole indexes or workspaces; a walk in order up to a LIMIT is none."""
    kind, table = node["Node Type"], node.get("Relation Name")
    limited = limited or kind == "Limit"
    if table in GROWING and kind == "Seq Scan":
        yield f"Seq Scan on {table}"
    if kind in ("Index Scan", "Index Only Scan", "Bitmap Index Scan") and (table in GROWING or table is None):
        condition = node.get("Index Cond")
        if (condition is None and not limited) or (condition and TOO_LITTLE.fullmatch(condition)):
            yield f"{kind} of {node['Index Name']} with {condition}"
    for child in node.get("Plans", ()):
        yield from whole_reads(child, limited=limited and kind not in ("Sort", "Aggregate", "Hash"))


def skips(found: Mapping[str, Any]) -> Iterator[str]:
    """Scans that do not say which generations they want. PostgreSQL 18 skips from one to the next, as fast as by a join
    with `generations`; those before it read the whole index, unless there is that join to choose instead.
    """
    nodes = list(_nodes(found))
    joined = any(node.get("Relation Name") == "generations" for node in nodes)
    for node in nodes:
        column = LEADING.get(node.get("Index Name", ""), "")
        if column not in node.get("Index Cond", "") and not (column == "generation" and joined):
            yield f"{node['Index Name']} with {node.get('Index Cond')}"


def _nodes(node: Mapping[str, Any]) -> Iterator[Mapping[str, Any]]:
    yield node
    for child in node.get("Plans", ()):
        yield from _nodes(child)


LEADING: Final[Mapping[str, str]] = {
    "messages_accepted": "generation",
    "messages_dropped": "generation",
    "messages_pkey": "generation",
    "message_fingerprints_pkey": "era",
}

# A workspace, a generation, or a workspace in a generation: of any of these there may be very much.
_INSIDE: Final = r"(?:[^()]|\((?:[^()]|\([^()]*\))*\))*"
_WORKSPACE: Final = rf"\(\(?workspace_id(\)::text)? = {_INSIDE}\)"
_GENERATION: Final = r"\(generation = [^()]*\)"
TOO_LITTLE: Final = re.compile(rf"{_WORKSPACE}|{_GENERATION}|\({_GENERATION} AND {_WORKSPACE}\)")


def _value(kind: str) -> str:
    """An SQL value; arrays hold one element per key of a batch."""
    if kind.endswith("[]"):
        return f"array_fill({_value(kind[:-2])}, ARRAY[{KEYS}])"
    return f"'{_VALUES[kind]}'::{kind}"


_VALUES: Final[Mapping[str, str]] = {
    "text": "acme",
    "name": "acme",
    "uuid": "00000000-0000-0000-0000-000000000001",
    "int2": "1",
    "int4": "1",
    "int8": "1",
    "bool": "true",
    "timestamptz": "2026-01-10T00:00:00Z",
    "tstzrange": "[2026-01-10T00:00:00Z,)",
    "json": "[]",
    "jsonb": "[]",
    "bytea": "",
    "float8": "1",
}
