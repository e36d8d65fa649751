-- name: find_identities
SELECT wanted.position, i.identity_id, i.contact_id, i.connected_at
FROM unnest($1::text[], $2::text[], $3::text[], $4::text[]) WITH ORDINALITY
    AS wanted (workspace_id, channel, scope, lookup, position)
JOIN identities i USING (workspace_id, channel, scope, lookup)

-- name: find_senders
-- NULL instead of an empty array, because a client takes longer to read an empty array than all the texts.
SELECT wanted, identity_id, connected, connected_at, counted_at, open, spelled, contact_id, conversation_id, profile_id, profile_at,
    nullif(blocks, '{}'), blocks_since, blocked_by, opened_at, closed_at, user_opened_at, snoozed_at, display_name, language,
    avatar_url
FROM find_senders($1::text[], $2::text[], $3::text[], $4::bigint[], $5::text[], $6::timestamptz)

-- name: add_identities
INSERT INTO identities (workspace_id, channel, scope, lookup, address, contact_id, channel_id, connected_at)
SELECT workspace_id, channel, scope, lookup, address, contact_id, channel_id, connected_at
FROM unnest($1::text::text[], $2::text::text[], $3::text::text[], $4::text::text[], $5::text::text[], $6::text::text[], $7::uuid[],
    $8::timestamptz[]) AS new (workspace_id, channel, scope, lookup, address, channel_id, contact_id, connected_at)
ORDER BY workspace_id, channel, scope, lookup
ON CONFLICT DO NOTHING
RETURNING contact_id, identity_id

-- name: insert_new
WITH made AS (
    INSERT INTO contacts (workspace_id, contact_id, conversation_id, phone, email, country, opened_at, display_name, first_name,
        language, avatar_url, counted_at)
    SELECT workspace_id, contact_id, conversation_id, phone, email, country, opened_at, name, name, language, avatar_url, counted_at
    FROM unnest($1::text::text[], $2::text::text[], $3::text::text[], $4::text::text[], $5::text::text[], $6::text::text[],
            $7::text::text[], $8::uuid[], $9::uuid[], $10::timestamptz[], $11::timestamptz[])
        AS new (workspace_id, phone, email, country, name, language, avatar_url, contact_id, conversation_id, opened_at, counted_at)
    ORDER BY workspace_id, contact_id
    RETURNING workspace_id, contact_id, revision
)
INSERT INTO unpublished_contacts (workspace_id, contact_id, revision) SELECT * FROM made ORDER BY workspace_id, contact_id

-- name: note_counted
UPDATE contacts c SET counted_at = new.at
FROM (SELECT * FROM unnest($1::text[], $2::uuid[], $3::timestamptz[]) AS new (workspace_id, contact_id, at)
    ORDER BY workspace_id, contact_id) AS new
WHERE c.workspace_id = new.workspace_id AND c.contact_id = new.contact_id

-- name: read_contacts
SELECT c.workspace_id, c.contact_id, c.conversation_id, c.profile_id, c.profile_at, c.blocks, c.blocks_since, c.blocked_by, c.opened_at,
    c.closed_at, c.user_opened_at, CASE WHEN c.snoozed_until IS NOT NULL THEN c.snoozed_at END, c.display_name, c.language,
    c.avatar_url
FROM unnest($1::text[], $2::uuid[]) AS wanted (workspace_id, contact_id)
JOIN contacts c USING (workspace_id, contact_id)

-- name: lock_shared
SELECT workspace_id, contact_id, conversation_id, profile_id, profile_at, blocks, blocks_since, blocked_by, opened_at, closed_at,
    user_opened_at, CASE WHEN snoozed_until IS NOT NULL THEN snoozed_at END, display_name, language, avatar_url
FROM contacts
WHERE (workspace_id, contact_id) IN (SELECT * FROM unnest($1::text[], $2::uuid[]))
ORDER BY workspace_id, contact_id FOR KEY SHARE

-- name: lock_buckets
SELECT FROM contact_locks
WHERE bucket = ANY(ARRAY(SELECT DISTINCT bucket(contact_id) FROM unnest($1::uuid[]) AS contact_id)) ORDER BY bucket FOR UPDATE

-- name: lock_for_update
SELECT workspace_id, contact_id, conversation_id, profile_id, profile_at, blocks, blocks_since, blocked_by, opened_at, closed_at,
    user_opened_at, CASE WHEN snoozed_until IS NOT NULL THEN snoozed_at END, display_name, language, avatar_url
FROM contacts
WHERE (workspace_id, contact_id) IN (SELECT * FROM unnest($1::text[], $2::uuid[]))
ORDER BY workspace_id, contact_id FOR UPDATE

-- name: lock_for_change
SELECT FROM contacts
WHERE (workspace_id, contact_id) IN (SELECT * FROM unnest($1::text[], $2::uuid[]))
ORDER BY workspace_id, contact_id FOR NO KEY UPDATE

-- name: connect_identities
UPDATE identities i SET connected_at = new.at, channel_id = new.channel_id
FROM (SELECT * FROM unnest($1::text[], $2::bigint[], $3::timestamptz[], $4::text[])
    AS new (workspace_id, identity_id, at, channel_id) ORDER BY workspace_id, identity_id) AS new
WHERE i.workspace_id = new.workspace_id AND i.identity_id = new.identity_id
    AND (i.connected_at IS NULL OR i.connected_at > new.at)

-- name: lock_identities
SELECT FROM identities
WHERE (workspace_id, identity_id) IN (SELECT * FROM unnest($1::text[], $2::bigint[]))
ORDER BY workspace_id, identity_id FOR NO KEY UPDATE

-- name: respell
-- Unless a later message came from it, which has the present spelling. The two halves have an index each.
UPDATE identities i SET address = new.address
FROM (SELECT * FROM unnest($1::text[], $2::bigint[], $3::timestamptz[], $4::uuid[], $5::text[])
    AS new (workspace_id, identity_id, at, message_id, address) ORDER BY workspace_id, identity_id) AS new
WHERE i.workspace_id = new.workspace_id AND i.identity_id = new.identity_id AND i.address <> new.address
    AND NOT EXISTS (
        SELECT FROM generations g CROSS JOIN LATERAL (
            (SELECT m.message_id FROM messages m
            WHERE m.generation = g.generation AND m.identity_id = new.identity_id AND m.drop_reason IS NULL
                AND m.event_time >= new.at AND (m.event_time, m.message_id) > (new.at, new.message_id)
                AND m.kind IN ('message', 'reaction') LIMIT 1)
            UNION ALL
            (SELECT m.message_id FROM messages m
            WHERE m.generation = g.generation AND m.identity_id = new.identity_id AND m.drop_reason IS NOT NULL
                AND m.event_time >= new.at AND (m.event_time, m.message_id) > (new.at, new.message_id)
                AND m.kind IN ('message', 'reaction') LIMIT 1)
        ) AS later
        WHERE g.last_event >= new.at
    )
RETURNING i.workspace_id, i.contact_id

-- name: opt
UPDATE identities i SET opted_out = new.opted_out, opted_at = new.at, opted_by = new.by
FROM (SELECT * FROM unnest($1::text[], $2::bigint[], $3::boolean[], $4::timestamptz[], $5::uuid[])
    AS new (workspace_id, identity_id, opted_out, at, by) ORDER BY workspace_id, identity_id) AS new
WHERE i.workspace_id = new.workspace_id AND i.identity_id = new.identity_id
    AND (i.opted_at IS NULL OR (i.opted_at, i.opted_by) < (new.at, new.by))

-- name: raise_revisions
UPDATE contacts c SET revision = c.revision + 1
FROM (SELECT * FROM unnest($1::text[], $2::uuid[]) AS new (workspace_id, contact_id) ORDER BY workspace_id, contact_id) AS new
WHERE c.workspace_id = new.workspace_id AND c.contact_id = new.contact_id

-- name: mark_unpublished
INSERT INTO unpublished_contacts (workspace_id, contact_id, revision)
SELECT workspace_id, contact_id, revision FROM contacts
WHERE (workspace_id, contact_id) IN (SELECT * FROM unnest($1::text[], $2::uuid[]))
ORDER BY workspace_id, contact_id
ON CONFLICT (workspace_id, contact_id) DO UPDATE SET revision = excluded.revision

-- name: save_blocks
UPDATE contacts c SET blocks = new.blocks, blocks_since = new.blocks_since, blocked_at = new.blocked_at,
    blocked_by = new.blocked_by, revision = c.revision + 1
FROM (
    SELECT workspace_id, contact_id, blocked_at, blocked_by, blocks_since,
        ARRAY(SELECT tstzrange((b ->> 0)::timestamptz, (b ->> 1)::timestamptz)
            FROM json_array_elements(blocks) WITH ORDINALITY AS e (b, position) ORDER BY position) AS blocks
    FROM unnest($1::text[], $2::uuid[], $3::timestamptz[], $4::text[], $5::json[], $6::timestamptz[])
        AS new (workspace_id, contact_id, blocked_at, blocked_by, blocks, blocks_since)
    ORDER BY workspace_id, contact_id
) AS new
WHERE c.workspace_id = new.workspace_id AND c.contact_id = new.contact_id

-- name: open_conversations
UPDATE contacts c SET opened_at = new.opened_at, revision = c.revision + 1
FROM (SELECT * FROM unnest($1::text[], $2::uuid[], $3::timestamptz[]) AS new (workspace_id, contact_id, opened_at)
    ORDER BY workspace_id, contact_id) AS new
WHERE c.workspace_id = new.workspace_id AND c.contact_id = new.contact_id

-- name: rename
-- An absent value stays; a null clears the value.
UPDATE contacts c SET display_name = CASE WHEN latest ? 'name' THEN latest ->> 'name' ELSE c.display_name END,
    first_name = CASE WHEN latest ? 'name' THEN latest ->> 'name' ELSE c.first_name END,
    language = CASE WHEN latest ? 'language' THEN latest ->> 'language' ELSE c.language END,
    avatar_url = CASE WHEN latest ? 'avatar_url' THEN latest ->> 'avatar_url' ELSE c.avatar_url END,
    revision = c.revision + 1
FROM (SELECT workspace_id, contact_id, jsonb_object_agg(attribute, value) AS latest
    FROM unnest($1::text[], $2::uuid[], $3::text[], $4::text[]) AS value (workspace_id, contact_id, attribute, value)
    GROUP BY workspace_id, contact_id ORDER BY workspace_id, contact_id) AS new
WHERE c.workspace_id = new.workspace_id AND c.contact_id = new.contact_id
    AND NOT jsonb_build_object('name', c.display_name, 'language', c.language, 'avatar_url', c.avatar_url) @> latest

-- name: unpublished
SELECT d.workspace_id, d.contact_id, d.revision AS marked, c.revision, o.display_name, o.first_name, o.last_name, o.country,
    o.language, o.email, o.phone, o.assignee, o.avatar_url, o.custom, o.tags, o.blocked, o.profile_id, o.conversation_status,
    (SELECT json_agg(json_build_object('channel', i.channel, 'channel_id', nullif(i.scope, ''), 'address', i.address)
            ORDER BY i.identity_id)
        FROM identities i WHERE i.workspace_id = d.workspace_id AND i.contact_id = d.contact_id) AS identities
FROM (SELECT * FROM unpublished_contacts ORDER BY workspace_id, contact_id LIMIT $1) AS d
LEFT JOIN contacts c USING (workspace_id, contact_id)
LEFT JOIN sluice.contact_overview o USING (workspace_id, contact_id)
ORDER BY d.workspace_id, d.contact_id

-- name: clear_unpublished
-- A locked mark is being renewed by another transaction: skip it, so that neither waits for the other.
DELETE FROM unpublished_contacts d USING (
    SELECT workspace_id, contact_id
    FROM unnest($1::text[], $2::uuid[], $3::bigint[]) AS done (workspace_id, contact_id, revision)
    JOIN unpublished_contacts USING (workspace_id, contact_id, revision)
    ORDER BY workspace_id, contact_id FOR UPDATE OF unpublished_contacts SKIP LOCKED
) AS done
WHERE (d.workspace_id, d.contact_id) = (done.workspace_id, done.contact_id)

-- name: contact_revisions
SELECT wanted.position, c.revision FROM unnest($1::text[], $2::uuid[]) WITH ORDINALITY AS wanted (workspace_id, contact_id, position)
JOIN contacts c USING (workspace_id, contact_id)

-- name: mark_for_repair
INSERT INTO unpublished_contacts (workspace_id, contact_id, revision)
SELECT workspace_id, contact_id, -nextval('repair_revisions')
FROM (SELECT * FROM unnest($1::text[], $2::uuid[]) AS t (workspace_id, contact_id) ORDER BY workspace_id, contact_id) AS t
ON CONFLICT (workspace_id, contact_id) DO UPDATE SET revision = excluded.revision
