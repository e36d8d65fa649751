-- name: find_identities
SELECT wanted.position, i.identity_id, i.contact_id, i.connected_at
FROM unnest($1::text[], $2::text[], $3::text[], $4::text[]) WITH ORDINALITY
    AS wanted (workspace_id, channel, scope, lookup, position)
JOIN identities i USING (workspace_id, channel, scope, lookup)

-- name: find_senders
-- No array instead of an empty one, which takes a client longer to read than all the texts.
SELECT wanted, identity_id, connected, connected_at, counted_at, open, contact_id, conversation_id, profile_id, profile_at,
    nullif(blocks, '{}'), blocked_by, opened_at, closed_at, display_name, language, avatar_url, phone, email
FROM find_senders($1::text[], $2::text[], $3::text[], $4::bigint[], $5::text[], $6::timestamptz)

-- name: add_identities
INSERT INTO identities (workspace_id, channel, scope, lookup, address, contact_id, channel_id, connected_at)
SELECT workspace_id, channel, scope, lookup, address, contact_id, channel_id, connected_at
FROM unnest($1::text::text[], $2::text::text[], $3::text::text[], $4::text::text[], $5::text::text[], $6::text::text[], $7::uuid[],
    $8::timestamptz[]) AS new (workspace_id, channel, scope, lookup, address, channel_id, contact_id, connected_at)
ORDER BY workspace_id, channel, scope, lookup
ON CONFLICT DO NOTHING
RETURNING contact_id, identity_id

-- name: add_contacts
INSERT INTO contacts (workspace_id, contact_id, phone, email, country)
SELECT workspace_id, contact_id, phone, email, country
FROM unnest($1::text[], $2::uuid[], $3::text[], $4::text[], $5::text[])
    AS new (workspace_id, contact_id, phone, email, country)
ORDER BY workspace_id, contact_id

-- name: introduce
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
INSERT INTO dirty_contacts (workspace_id, contact_id, revision) SELECT * FROM made ORDER BY workspace_id, contact_id

-- name: note_counted
UPDATE contacts c SET counted_at = new.at
FROM (SELECT * FROM unnest($1::text[], $2::uuid[], $3::timestamptz[]) AS new (workspace_id, contact_id, at)
    ORDER BY workspace_id, contact_id) AS new
WHERE c.workspace_id = new.workspace_id AND c.contact_id = new.contact_id

-- name: lock_shared
SELECT workspace_id, contact_id, conversation_id, profile_id, profile_at, blocks, blocked_by, opened_at, closed_at,
    display_name, language, avatar_url, phone, email
FROM contacts
WHERE (workspace_id, contact_id) IN (SELECT * FROM unnest($1::text[], $2::uuid[]))
ORDER BY workspace_id, contact_id FOR KEY SHARE

-- name: lock_buckets
SELECT FROM contact_locks
WHERE bucket = ANY(ARRAY(SELECT DISTINCT bucket(contact_id) FROM unnest($1::uuid[]) AS contact_id)) ORDER BY bucket FOR UPDATE

-- name: lock_for_update
SELECT workspace_id, contact_id, conversation_id, profile_id, profile_at, blocks, blocked_by, opened_at, closed_at,
    display_name, language, avatar_url, phone, email
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

-- name: opt
UPDATE identities i SET opted_out = new.opted_out, opted_at = new.at, opted_by = new.by
FROM (SELECT * FROM unnest($1::text[], $2::bigint[], $3::boolean[], $4::timestamptz[], $5::uuid[])
    AS new (workspace_id, identity_id, opted_out, at, by) ORDER BY workspace_id, identity_id) AS new
WHERE i.workspace_id = new.workspace_id AND i.identity_id = new.identity_id
    AND (i.opted_at IS NULL OR (i.opted_at, i.opted_by) < (new.at, new.by))

-- name: mark_dirty
INSERT INTO dirty_contacts (workspace_id, contact_id, revision)
SELECT workspace_id, contact_id, revision FROM contacts
WHERE (workspace_id, contact_id) IN (SELECT * FROM unnest($1::text[], $2::uuid[]))
ORDER BY workspace_id, contact_id
ON CONFLICT (workspace_id, contact_id) DO UPDATE SET revision = excluded.revision

-- name: save_blocks
UPDATE contacts c SET blocks = new.blocks, blocked_at = new.blocked_at, blocked_by = new.blocked_by,
    revision = c.revision + 1
FROM (
    SELECT workspace_id, contact_id, blocked_at, blocked_by,
        ARRAY(SELECT tstzrange((b ->> 0)::timestamptz, (b ->> 1)::timestamptz)
            FROM json_array_elements(blocks) WITH ORDINALITY AS e (b, position) ORDER BY position) AS blocks
    FROM unnest($1::text[], $2::uuid[], $3::timestamptz[], $4::text[], $5::json[])
        AS new (workspace_id, contact_id, blocked_at, blocked_by, blocks)
    ORDER BY workspace_id, contact_id
) AS new
WHERE c.workspace_id = new.workspace_id AND c.contact_id = new.contact_id

-- name: open_conversations
UPDATE contacts c SET opened_at = new.opened_at, revision = c.revision + 1
FROM (SELECT * FROM unnest($1::text[], $2::uuid[], $3::timestamptz[]) AS new (workspace_id, contact_id, opened_at)
    ORDER BY workspace_id, contact_id) AS new
WHERE c.workspace_id = new.workspace_id AND c.contact_id = new.contact_id

-- name: rename
UPDATE contacts c SET display_name = coalesce(new.name, c.display_name), first_name = coalesce(new.name, c.first_name),
    language = coalesce(new.language, c.language), avatar_url = coalesce(new.avatar_url, c.avatar_url),
    revision = c.revision + 1
FROM (SELECT * FROM unnest($1::text[], $2::uuid[], $3::text[], $4::text[], $5::text[])
    AS new (workspace_id, contact_id, name, language, avatar_url) ORDER BY workspace_id, contact_id) AS new
WHERE c.workspace_id = new.workspace_id AND c.contact_id = new.contact_id
    AND (c.display_name, c.language, c.avatar_url) IS DISTINCT FROM (coalesce(new.name, c.display_name),
        coalesce(new.language, c.language), coalesce(new.avatar_url, c.avatar_url))

-- name: dirty
SELECT d.workspace_id, d.contact_id, d.revision AS marked, c.revision, o.display_name, o.first_name, o.last_name, o.country,
    o.language, o.email, o.phone, o.assignee, o.avatar_url, o.custom, o.tags, o.blocked, o.profile_id, o.conversation_status,
    (SELECT json_agg(json_build_object('channel', i.channel, 'channel_id', nullif(i.scope, ''), 'address', i.address)
            ORDER BY i.identity_id)
        FROM identities i WHERE i.workspace_id = d.workspace_id AND i.contact_id = d.contact_id) AS identities
FROM (SELECT * FROM dirty_contacts ORDER BY workspace_id, contact_id LIMIT $1) AS d
LEFT JOIN contacts c USING (workspace_id, contact_id)
LEFT JOIN sluice.contact_overview o USING (workspace_id, contact_id)
ORDER BY d.workspace_id, d.contact_id

-- name: clear_dirty
-- A mark that somebody holds is being renewed: it stays, and nobody waits for anybody.
DELETE FROM dirty_contacts d USING (
    SELECT workspace_id, contact_id
    FROM unnest($1::text[], $2::uuid[], $3::bigint[]) AS done (workspace_id, contact_id, revision)
    JOIN dirty_contacts USING (workspace_id, contact_id, revision)
    ORDER BY workspace_id, contact_id FOR UPDATE OF dirty_contacts SKIP LOCKED
) AS done
WHERE (d.workspace_id, d.contact_id) = (done.workspace_id, done.contact_id)

-- name: contact_revisions
SELECT wanted.position, c.revision FROM unnest($1::text[], $2::uuid[]) WITH ORDINALITY AS wanted (workspace_id, contact_id, position)
JOIN contacts c USING (workspace_id, contact_id)

-- name: mark_for_repair
INSERT INTO dirty_contacts (workspace_id, contact_id, revision)
SELECT workspace_id, contact_id, -nextval('repairs')
FROM (SELECT * FROM unnest($1::text[], $2::uuid[]) AS t (workspace_id, contact_id) ORDER BY workspace_id, contact_id) AS t
ON CONFLICT (workspace_id, contact_id) DO UPDATE SET revision = excluded.revision
