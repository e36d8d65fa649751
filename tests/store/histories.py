"""Long histories, made in SQL: of contacts, a workspace, a run and a group. Each can be made longer.

`ana` has plain messages, sends, finished runs and old blocks; `bob` one message that counts and says his name, and
after it reactions, which do neither; `cyn` is blocked, and her messages are dropped.
"""

import hashlib
from typing import Final
from uuid import UUID

from asyncpg import Connection

from tests.workers.records import DAY, uuid_of

ANA: Final = uuid_of("ana")
BOB: Final = uuid_of("bob")
CYN: Final = uuid_of("cyn")
PHONES: Final = {ANA: "+4915112345601", BOB: "+4915112345602", CYN: "+4915112345603"}
BLOCKED_SINCE: Final = -30_000
"""Minutes: when the open block of `cyn` began. The messages of all are younger, and of one second each."""
FIRST: Final = -10_000
"""Minutes: when `bob` wrote."""


def made(name: str) -> UUID:
    """The id of what SQL made under a name."""
    return UUID(hashlib.md5(name.encode(), usedforsecurity=False).hexdigest())


_BEFORE: Final = """
CREATE FUNCTION pg_temp.id(text) RETURNS uuid LANGUAGE sql IMMUTABLE AS $$
    SELECT uuid_in(md5($1)::cstring)
$$;
INSERT INTO workspaces (workspace_id, first_message_at, cycles_from) VALUES ('acme', $day, '2000-01-01');
INSERT INTO channels (workspace_id, channel_id, channel) VALUES ('acme', 'whatsapp-main', 'whatsapp');
INSERT INTO settings_log (workspace_id, name, issued_at, command_id, value)
    VALUES ('acme', 'count_reactions', '2025-01-01', gen_random_uuid(), 'false'),
    ('acme', 'mac_block_effect', '2025-01-01', gen_random_uuid(), '"immediate"');
INSERT INTO mac_cycles (workspace_id, cycle_start, cycle_end) VALUES ('acme', '2026-03-01Z', '2026-04-01Z');
INSERT INTO profile_statuses (workspace_id, name, protected, protected_since, written_at, written_by)
    VALUES ('acme', 'vip', true, '2025-01-01', '2025-01-01', gen_random_uuid());
INSERT INTO companies (workspace_id, company_id, name, named_at, named_by, protected, protected_since)
    VALUES ('acme', 'big', 'big', '2025-01-01', gen_random_uuid(), true, '2025-01-01');
INSERT INTO profiles (workspace_id, profile_id, name, name_key, status, status_at, created_by, created_at)
    VALUES ('acme', 'family', 'family', 'family', 'vip', '2025-01-01', 'ann', '2025-01-01');
INSERT INTO contacts (workspace_id, contact_id, display_name, first_name, phone, opened_at, closed_at) VALUES
    ('acme', $ana, 'Ana', 'Ana', '+4915112345601', $first, NULL),
    ('acme', $bob, 'Bob', 'Bob', '+4915112345602', $first, NULL),
    ('acme', $cyn, 'Cyn', 'Cyn', '+4915112345603', NULL, NULL);
UPDATE contacts SET blocks = ARRAY[tstzrange($blocked_since, NULL)], blocked_at = $blocked_since, blocked_by = 'ann'
    WHERE contact_id = $cyn;
INSERT INTO block_commands (workspace_id, contact_id, issued_at, unblocks, command_id, actor_id) VALUES
    ('acme', $cyn, $blocked_since, false, gen_random_uuid(), 'ann'),
    ('acme', $ana, $day::timestamptz - interval '57.5 seconds', true, gen_random_uuid(), 'ann'),
    ('acme', $bob, $first::timestamptz + interval '1 second', true, gen_random_uuid(), 'ann');
INSERT INTO identities (workspace_id, channel, scope, lookup, address, contact_id, channel_id, connected_at)
    SELECT 'acme', 'whatsapp', '', phone, phone, contact_id, 'whatsapp-main', $blocked_since FROM contacts;
INSERT INTO messages (generation, workspace_id, message_id, identity_id, channel_id, channel, kind, event_time,
        counted, decided_at, content_digest, body)
    SELECT 0, 'acme', $bob, identity_id, 'whatsapp-main', 'whatsapp', 'message', $first, true, $first, 1,
        json_build_object($body, 'sender', '{"address": "1", "name": "Bob"}'::json)
    FROM identities WHERE contact_id = $bob;
INSERT INTO mac_contacts (workspace_id, cycle_start, contact_id, first_message_id, first_counted_at)
    VALUES ('acme', '2026-03-01Z', $bob, $bob, $first);
INSERT INTO mac_shards (workspace_id, cycle_start, shard, active_contacts) VALUES ('acme', '2026-03-01Z', 'test', 1);
INSERT INTO workflow_runs (workspace_id, run_id, workflow_id, contact_id, trigger, started_at, state, revision)
    VALUES ('acme', 'top', 'w', $bob, 'automatic', $day, 'running', 2);
"""

_LONGER: Final = """
CREATE TEMPORARY TABLE new AS
    SELECT n, $day - n * interval '1 second' AS at, '2025-06-01Z'::timestamptz - n * interval '1 second' AS set_at,
        pg_temp.id('hold ' || n) AS hold,
        pg_temp.id('contact ' || n) AS contact, '+4917' || 100000000 + n AS phone
    FROM generate_series($from, $to) n;
INSERT INTO messages (generation, workspace_id, message_id, identity_id, channel_id, channel, kind, event_time,
        drop_reason, block_start, mac_rule, counted, decided_at, content_digest, body)
    SELECT 0, 'acme', pg_temp.id(p.phone || n), identity_id, 'whatsapp-main', 'whatsapp', p.kind, at,
        CASE WHEN p.dropped THEN 'contact_blocked' END, CASE WHEN p.dropped THEN $blocked_since::timestamptz END,
        CASE WHEN p.dropped THEN 'next_cycle' END, p.counted, at, n, p.body
    FROM new CROSS JOIN (VALUES
        ($ana::uuid, '+4915112345601', 'message', false, true,
            json_build_object($body, 'sender', '{"address": "1", "name": "Ana"}'::json)),
        ($bob, '+4915112345602', 'reaction', false, false,
            json_build_object($body, 'sender', '{"address": "1"}'::json)),
        ($cyn, '+4915112345603', 'message', true, false,
            json_build_object($body, 'sender', '{"address": "1", "name": "Cyn"}'::json))
    ) AS p (contact_id, phone, kind, dropped, counted, body)
    JOIN identities i ON i.contact_id = p.contact_id;
INSERT INTO mac_contacts (workspace_id, cycle_start, contact_id, first_message_id, first_counted_at)
    SELECT 'acme', '2026-03-01Z', $ana, pg_temp.id('+4915112345601' || n), at FROM new ORDER BY n DESC LIMIT 1
    ON CONFLICT (workspace_id, cycle_start, contact_id) DO UPDATE
    SET first_message_id = excluded.first_message_id, first_counted_at = excluded.first_counted_at;
INSERT INTO block_commands (workspace_id, contact_id, issued_at, unblocks, command_id, actor_id)
    SELECT 'acme', $ana, $blocked_since - n * interval '1 minute', n % 2 = 1, gen_random_uuid(), 'ann' FROM new;
UPDATE contacts SET blocks_since = $blocked_since WHERE contact_id = $ana;
INSERT INTO workflow_runs (workspace_id, run_id, workflow_id, contact_id, trigger, parent_run_id, started_at,
        finished_at, state, revision)
    SELECT 'acme', 'past ' || n, 'w', $ana, 'automatic', NULL, at, at, 'finished', 2 FROM new
    UNION ALL
    SELECT 'acme', 'child ' || n, 'w', $bob, 'automatic', 'top', $day, NULL, 'running', 2 FROM new;
INSERT INTO workflow_steps (workspace_id, run_id, step_id, asked_at) SELECT 'acme', 'top', 's' || n, at FROM new;
INSERT INTO contacts (workspace_id, contact_id, phone, profile_id, profile_at)
    SELECT 'acme', contact, phone, 'family', at FROM new;
INSERT INTO identities (workspace_id, channel, scope, lookup, address, contact_id, connected_at)
    SELECT 'acme', 'whatsapp', '', phone, phone, contact, at FROM new;
INSERT INTO profiles (workspace_id, profile_id, name, name_key, status, status_at, created_by, created_at)
    SELECT 'acme', 'p' || n, 'P' || n, 'p' || n, 'vip', at, 'ann', at FROM new;
INSERT INTO profile_companies SELECT 'acme', 'p' || n, 'big', at FROM new;
INSERT INTO settings_log (workspace_id, name, issued_at, command_id, value, superseded)
    SELECT 'acme', 'quarantine_days', set_at, gen_random_uuid(), '5'::json, n > 1 FROM new
    UNION ALL
    SELECT 'acme', 'anchor_day', set_at, gen_random_uuid(), '1'::json, n > 1 FROM new;
INSERT INTO effective_settings (workspace_id, channel_id, name, holds_from, value)
    SELECT 'acme', '', 'quarantine_days', set_at, '5' FROM new;
INSERT INTO commands (workspace_id, command_id, command, actor_id, actor_role, issued_at, outcome, changed, applied_at)
    SELECT 'acme', gen_random_uuid(), 'configure_workspace', 'olga', 'owner', at, 'done', '{}', at FROM new;
INSERT INTO sends (workspace_id, send_id, group_id, contact_id, channel, channel_id, scope, lookup, address, content,
        source, run_id, requested_by, requested_role, requested_at, status, reasons, reason_keys, held_at, expires_at,
        attempt, applied_at, updated_at)
    SELECT 'acme', hold, 'spring', contact, 'whatsapp', 'whatsapp-main', '', phone, phone,
        '{"type": "text", "text": "hello"}'::json, 'broadcast', NULL, 'ann', 'agent', at, 'held',
        ARRAY['status_protected'], ARRAY['status_protected:vip'], at, $day::timestamptz + interval '72 hours', 0, at, at
    FROM new
    UNION ALL
    SELECT 'acme', pg_temp.id('sent ' || n), 'gone', $ana, 'whatsapp', 'whatsapp-main', '', '+4915112345601',
        '+4915112345601', '{"type": "text", "text": "hello"}'::json, 'inbox', 'top', 'ann', 'agent', at, 'dispatched',
        '{}'::text[], '{}'::text[],
        NULL, NULL, 1, at, at
    FROM new;
INSERT INTO send_attempts (workspace_id, send_id, attempt, channel_id, status, dispatched_at, provider_message_id)
    SELECT 'acme', pg_temp.id('sent ' || n), 1, 'whatsapp-main', 'dispatched', at, 'provider ' || n FROM new;
DROP TABLE new"""

_BODY: Final = """
    'workspace_id', 'acme', 'channel_id', 'whatsapp-main', 'channel', 'whatsapp', 'provider_message_id', 'p',
    'received_at', '2026-03-10T00:00:00Z', 'kind', 'message', 'content', '{"type": "text", "text": "hi"}'::json
"""


def _with(text: str, values: dict[str, str]) -> str:
    for name, value in values.items():
        text = text.replace(name, value)
    return text


async def longer(tx: Connection, start: int, end: int) -> None:
    """Make every history `end` long that is `start` long; at 0 there is nothing yet."""
    values = {
        "$day": f"'{DAY.isoformat()}'::timestamptz",
        "$blocked_since": f"('{DAY.isoformat()}'::timestamptz + interval '{BLOCKED_SINCE} minutes')",
        "$first": f"('{DAY.isoformat()}'::timestamptz + interval '{FIRST} minutes')",
        "$ana": f"'{ANA}'::uuid",
        "$bob": f"'{BOB}'::uuid",
        "$cyn": f"'{CYN}'::uuid",
        "$body": _BODY.strip(),
        "$from": str(start + 1),
        "$to": str(end),
    }
    # One by one: all of it takes longer than a transaction may.
    for statement in _with((_BEFORE if start == 0 else "") + _LONGER, values).split(";\n"):
        await tx.execute(statement, timeout=120)
    # What was rolled back meanwhile goes: its entries would be read.
    await tx.execute("VACUUM (ANALYZE)", timeout=120)
