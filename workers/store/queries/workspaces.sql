-- name: add_workspaces
INSERT INTO workspaces (workspace_id)
SELECT workspace_id FROM unnest($1::text[]) AS new (workspace_id) ORDER BY workspace_id
ON CONFLICT DO NOTHING

-- name: lock_workspaces_shared
-- Who wants to share a row passes by those who wait to have it alone, and while a crowd overlaps these would wait for ever. At a gate
-- everybody stands in line; there are 64 of them, as a poll may be of very many workspaces. Passed first, also where there is no row yet.
WITH gate AS MATERIALIZED (
    SELECT pg_advisory_xact_lock_shared(hashtext('sluice.settings'), number)
    FROM (SELECT DISTINCT hashtext(id) & 63 AS number FROM unnest($1::text[]) AS id ORDER BY number) AS gates
)
SELECT workspace_id, first_message_at, version FROM workspaces
WHERE workspace_id = ANY($1::text[]) AND (SELECT count(*) FROM gate) > 0 ORDER BY workspace_id FOR KEY SHARE

-- name: close_gates
SELECT pg_advisory_xact_lock(hashtext('sluice.settings'), number)
FROM (SELECT DISTINCT hashtext(id) & 63 AS number FROM unnest($1::text[]) AS id ORDER BY number) AS gates

-- name: lock_workspaces
SELECT workspace_id, first_message_at, version FROM workspaces
WHERE workspace_id = ANY($1::text[]) ORDER BY workspace_id FOR UPDATE

-- name: add_channels
WITH added AS (
    INSERT INTO channels (workspace_id, channel_id, channel)
    SELECT DISTINCT ON (workspace_id, channel_id) workspace_id, channel_id, channel
    FROM unnest($1::text[], $2::text[], $3::text[]) AS new (workspace_id, channel_id, channel)
    ORDER BY workspace_id, channel_id
    ON CONFLICT DO NOTHING
    RETURNING workspace_id
)
UPDATE workspaces w SET version = gen_random_uuid()
FROM (SELECT DISTINCT workspace_id FROM added ORDER BY workspace_id) AS changed
WHERE w.workspace_id = changed.workspace_id

-- name: channels_and_settings
-- One round trip instead of two: a row without a moment is a channel, any other one is a setting.
SELECT workspace_id, channel_id, channel AS name, NULL::timestamptz AS issued_at, NULL::uuid AS command_id, NULL::json AS value
FROM channels WHERE workspace_id = ANY($1::text[])
UNION ALL
SELECT workspace_id, channel_id, name, issued_at, command_id, value
FROM settings_log WHERE workspace_id = ANY($1::text[])
ORDER BY workspace_id, issued_at, command_id, channel_id, name

-- name: add_settings
WITH added AS (
    INSERT INTO settings_log (workspace_id, channel_id, name, issued_at, command_id, value)
    SELECT workspace_id, channel_id, name, issued_at, command_id, value::json
    FROM unnest($1::text[], $2::text[], $3::text[], $4::timestamptz[], $5::uuid[], $6::text[])
        AS new (workspace_id, channel_id, name, issued_at, command_id, value)
    ORDER BY workspace_id, channel_id, name, issued_at, command_id
    ON CONFLICT DO NOTHING
    RETURNING workspace_id
)
UPDATE workspaces w SET version = gen_random_uuid()
FROM (SELECT DISTINCT workspace_id FROM added ORDER BY workspace_id) AS changed
WHERE w.workspace_id = changed.workspace_id

-- name: note_first_messages
UPDATE workspaces SET first_message_at = new.at
FROM (SELECT workspace_id, at FROM unnest($1::text[], $2::timestamptz[]) AS new (workspace_id, at) ORDER BY workspace_id) AS new
WHERE workspaces.workspace_id = new.workspace_id AND (first_message_at IS NULL OR first_message_at > new.at)
