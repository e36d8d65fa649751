-- name: add_workspaces
INSERT INTO workspaces (workspace_id)
SELECT workspace_id FROM unnest($1::text[]) AS new (workspace_id) ORDER BY workspace_id
ON CONFLICT DO NOTHING

-- name: lock_workspaces_shared
-- A transaction that wants a shared row lock overtakes those that wait for an exclusive one, which could wait for ever. Advisory
-- locks have a fair queue. There are 64, because a poll may have very many workspaces. Taken first, also if there is no row yet.
WITH gate AS MATERIALIZED (
    SELECT pg_advisory_xact_lock_shared(hashtext('sluice.settings'), number)
    FROM (SELECT DISTINCT hashtext(id) & 63 AS number FROM unnest($1::text[]) AS id ORDER BY number) AS gates
)
SELECT workspace_id, first_message_at, version FROM workspaces
WHERE workspace_id = ANY($1::text[]) AND (SELECT count(*) FROM gate) > 0 ORDER BY workspace_id FOR KEY SHARE

-- name: lock_settings
SELECT pg_advisory_xact_lock(hashtext('sluice.settings'), number)
FROM (SELECT DISTINCT hashtext(id) & 63 AS number FROM unnest($1::text[]) AS id ORDER BY number) AS gates

-- name: lock_workspaces
SELECT workspace_id, first_message_at, version FROM workspaces
WHERE workspace_id = ANY($1::text[]) ORDER BY workspace_id FOR UPDATE

-- name: lock_for_channels
-- Transactions that add channels to a workspace wait for each other, or together they would exceed the limit.
SELECT FROM workspaces WHERE workspace_id = ANY($1::text[]) ORDER BY workspace_id FOR NO KEY UPDATE

-- name: add_channels
-- Returns those that exceed the limit of the workspace: the last ones, in the given order.
WITH new AS (
    SELECT workspace_id, channel_id, n.channel, row_number() OVER (PARTITION BY workspace_id ORDER BY place) AS number
    FROM unnest($1::text[], $2::text[], $3::text[]) WITH ORDINALITY AS n (workspace_id, channel_id, channel, place)
    LEFT JOIN channels known USING (workspace_id, channel_id)
    WHERE known.channel_id IS NULL
), taken AS MATERIALIZED (
    SELECT w.workspace_id, (SELECT count(*) FROM channels c WHERE c.workspace_id = w.workspace_id) AS channels
    FROM (SELECT DISTINCT workspace_id FROM new) AS w
), fitting AS MATERIALIZED (
    SELECT workspace_id, channel_id, channel, number <= $4 - channels AS fits FROM new JOIN taken USING (workspace_id)
), added AS (
    INSERT INTO channels (workspace_id, channel_id, channel)
    SELECT workspace_id, channel_id, channel FROM fitting WHERE fits ORDER BY workspace_id, channel_id
    ON CONFLICT DO NOTHING
    RETURNING workspace_id
), changed AS (
    UPDATE workspaces w SET version = gen_random_uuid()
    FROM (SELECT DISTINCT workspace_id FROM added ORDER BY workspace_id) AS changed
    WHERE w.workspace_id = changed.workspace_id
)
SELECT workspace_id, channel_id FROM fitting WHERE NOT fits

-- name: channels_and_settings
-- One round trip instead of two: a row without a time is a channel, any other one is a setting.
SELECT workspace_id, channel_id, channel AS name, NULL::timestamptz AS issued_at, NULL::uuid AS command_id, NULL::json AS value,
    NULL::timestamptz AS recorded_at, NULL::timestamptz AS not_before, NULL::timestamptz AS cycles_from
FROM channels WHERE workspace_id = ANY($1::text[])
UNION ALL
SELECT workspace_id, channel_id, name, issued_at, command_id, value, recorded_at, not_before, cycles_from
FROM settings_log WHERE workspace_id = ANY($1::text[]) AND NOT superseded
ORDER BY workspace_id, issued_at, command_id, channel_id, name

-- name: add_settings
WITH added AS (
    INSERT INTO settings_log (workspace_id, channel_id, name, issued_at, command_id, value, recorded_at, not_before, cycles_from)
    SELECT workspace_id, channel_id, name, issued_at, command_id, value::json, recorded_at, not_before, cycles_from
    FROM unnest($1::text[], $2::text[], $3::text[], $4::timestamptz[], $5::uuid[], $6::text[], $7::timestamptz[], $8::timestamptz[],
        $9::timestamptz[])
        AS new (workspace_id, channel_id, name, issued_at, command_id, value, recorded_at, not_before, cycles_from)
    ORDER BY workspace_id, channel_id, name, issued_at, command_id
    ON CONFLICT DO NOTHING
    RETURNING workspace_id
)
UPDATE workspaces w SET version = gen_random_uuid()
FROM (SELECT DISTINCT workspace_id FROM added ORDER BY workspace_id) AS changed
WHERE w.workspace_id = changed.workspace_id

-- name: supersede_settings
UPDATE settings_log l SET superseded = true
FROM (SELECT * FROM unnest($1::text[], $2::text[], $3::text[], $4::timestamptz[], $5::uuid[])
    AS gone (workspace_id, channel_id, name, issued_at, command_id) ORDER BY 1, 2, 3, 4, 5) AS gone
WHERE (l.workspace_id, l.channel_id, l.name, l.issued_at, l.command_id)
    = (gone.workspace_id, gone.channel_id, gone.name, gone.issued_at, gone.command_id)

-- name: in_effect_before
SELECT h.workspace_id, h.channel_id, h.name, h.holds_from, h.value
FROM unnest($1::text[], $2::text[], $3::text[], $4::timestamptz[]) AS s (workspace_id, channel_id, name, since)
CROSS JOIN LATERAL (
    SELECT * FROM effective_settings h
    WHERE h.workspace_id = s.workspace_id AND h.channel_id = s.channel_id AND h.name = s.name AND h.holds_from < s.since
    ORDER BY h.holds_from DESC LIMIT 1
) AS h

-- name: set_since
-- One by one: mostly there is only what was set just now, and PostgreSQL would take it for a third of all that ever was.
WITH RECURSIVE found AS (
    SELECT l.* FROM unnest($1::text[], $2::text[], $3::text[], $4::timestamptz[]) AS s (workspace_id, channel_id, name, since)
    CROSS JOIN LATERAL (
        SELECT l.workspace_id, l.issued_at, l.command_id, l.channel_id, l.name, l.value FROM settings_log l
        WHERE l.workspace_id = s.workspace_id AND l.channel_id = s.channel_id AND l.name = s.name AND l.issued_at >= s.since
        ORDER BY l.issued_at, l.command_id LIMIT 1
    ) AS l
    UNION ALL
    SELECT l.* FROM found CROSS JOIN LATERAL (
        SELECT l.workspace_id, l.issued_at, l.command_id, l.channel_id, l.name, l.value FROM settings_log l
        WHERE l.workspace_id = found.workspace_id AND l.channel_id = found.channel_id AND l.name = found.name
            AND (l.issued_at, l.command_id) > (found.issued_at, found.command_id)
        ORDER BY l.issued_at, l.command_id LIMIT 1
    ) AS l
)
SELECT workspace_id, issued_at, command_id, channel_id, name, value FROM found ORDER BY workspace_id, channel_id, name, issued_at, command_id

-- name: save_in_effect
-- $1 to $4: the names, and from when on the other parameters have all values that hold of them. The query looks for what held since
-- then one by one: PostgreSQL would estimate a third of the table and read all of it.
WITH RECURSIVE new AS (
    SELECT workspace_id, channel_id, name, holds_from, value::jsonb
    FROM unnest($5::text[], $6::text[], $7::text[], $8::timestamptz[], $9::text[])
        AS new (workspace_id, channel_id, name, holds_from, value)
), old (workspace_id, channel_id, name, holds_from, place) AS (
    SELECT s.workspace_id, s.channel_id, s.name, h.*
    FROM unnest($1::text[], $2::text[], $3::text[], $4::timestamptz[]) AS s (workspace_id, channel_id, name, since)
    CROSS JOIN LATERAL (
        SELECT h.holds_from, h.ctid FROM effective_settings h
        WHERE h.workspace_id = s.workspace_id AND h.channel_id = s.channel_id AND h.name = s.name AND h.holds_from >= s.since
        ORDER BY h.holds_from LIMIT 1
    ) AS h
    UNION ALL
    SELECT old.workspace_id, old.channel_id, old.name, h.* FROM old
    CROSS JOIN LATERAL (
        SELECT h.holds_from, h.ctid FROM effective_settings h
        WHERE h.workspace_id = old.workspace_id AND h.channel_id = old.channel_id AND h.name = old.name
            AND h.holds_from > old.holds_from
        ORDER BY h.holds_from LIMIT 1
    ) AS h
), gone AS (
    DELETE FROM effective_settings h WHERE h.ctid = ANY (ARRAY(
        SELECT place FROM old
        WHERE (workspace_id, channel_id, name, holds_from) NOT IN (SELECT workspace_id, channel_id, name, holds_from FROM new)
    ))
)
INSERT INTO effective_settings (workspace_id, channel_id, name, holds_from, value)
SELECT workspace_id, channel_id, name, holds_from, value FROM new ORDER BY 1, 2, 3, 4
ON CONFLICT (workspace_id, channel_id, name, holds_from) DO UPDATE SET value = excluded.value
WHERE effective_settings.value <> excluded.value

-- name: note_first_messages
-- `until`: every cycle from the message to this time has a row; if it was unknown, every cycle from $4 on has one.
UPDATE workspaces w SET
    first_message_at = least(w.first_message_at, new.at),
    cycles_from = CASE WHEN new.until >= coalesce(w.cycles_from, $4) THEN least(w.cycles_from, new.at) ELSE w.cycles_from END
FROM (SELECT workspace_id, at, until FROM unnest($1::text[], $2::timestamptz[], $3::timestamptz[]) AS new (workspace_id, at, until)
    ORDER BY workspace_id) AS new
WHERE w.workspace_id = new.workspace_id AND (first_message_at IS NULL OR first_message_at > new.at)

-- name: without_cycles
-- Workspaces with missing rows of cycles since the first message: its time, and from when on all cycles have one.
SELECT workspace_id, first_message_at, cycles_from FROM workspaces
WHERE first_message_at < cycles_from OR cycles_from IS NULL AND first_message_at IS NOT NULL
ORDER BY workspace_id LIMIT $1

-- name: note_cycles
UPDATE workspaces w SET cycles_from = least(w.cycles_from, new.since)
FROM (SELECT workspace_id, since FROM unnest($1::text[], $2::timestamptz[]) AS new (workspace_id, since) ORDER BY workspace_id) AS new
WHERE w.workspace_id = new.workspace_id
