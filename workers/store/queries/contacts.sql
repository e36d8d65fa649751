-- name: find_identities
-- Who has each address now.
SELECT wanted.position, i.identity_id, i.contact_id, i.connected_at, i.began_at, i.ended_at
FROM unnest($1::text[], $2::text[], $3::text[], $4::text[]) WITH ORDINALITY
    AS wanted (workspace_id, channel, scope, lookup, position)
JOIN identities i USING (workspace_id, channel, scope, lookup)
WHERE i.ended_at IS NULL AND NOT EXISTS (
    SELECT FROM deleted_contacts d
    WHERE d.workspace_id = i.workspace_id AND d.contact_id = i.contact_id AND NOT d.cut_off OFFSET 0
)

-- name: find_former
-- Who had each address before.
SELECT wanted.position, i.identity_id, i.contact_id, i.connected_at, i.began_at, i.ended_at
FROM unnest($1::text[], $2::text[], $3::text[], $4::text[]) WITH ORDINALITY
    AS wanted (workspace_id, channel, scope, lookup, position)
CROSS JOIN LATERAL (
    SELECT i.* FROM identities i
    WHERE i.workspace_id = wanted.workspace_id AND i.channel = wanted.channel AND i.scope = wanted.scope
        AND i.lookup = wanted.lookup AND i.ended_at IS NOT NULL
    ORDER BY i.ended_at DESC LIMIT 100
) AS i

-- name: find_senders
-- NULL instead of an empty array, because a client takes longer to read an empty array than all the texts.
SELECT wanted, identity_id, connected, connected_at, counted_at, open, spelled, special, contact_id, conversation_id, profile_id,
    profile_at, nullif(blocks, '{}'), blocks_since, blocked_by, opened_at, closed_at, user_opened_at, snoozed_at, display_name,
    language, avatar_url
FROM find_senders($1::text[], $2::text[], $3::text[], $4::bigint[], $5::text[], '{}', $6::timestamptz)

-- name: find_former_senders
SELECT wanted, identity_id, connected, connected_at, counted_at, open, spelled, special, contact_id, conversation_id, profile_id,
    profile_at, nullif(blocks, '{}'), blocks_since, blocked_by, opened_at, closed_at, user_opened_at, snoozed_at, display_name,
    language, avatar_url
FROM find_senders($1::text[], '{}', '{}', '{}', '{}', $2::bigint[], $3::timestamptz)

-- name: special_senders
-- Of addresses that somebody had before, or that came by a merge, since when and until when they are the contact's, and whose blocks
-- judge their messages. The locks are held already: nobody changes it any more.
SELECT i.identity_id, i.began_at, i.ended_at, i.home_id, nullif(h.blocks, '{}') AS blocks, h.blocks_since
FROM unnest($1::text[], $2::bigint[]) AS wanted (workspace_id, identity_id)
CROSS JOIN LATERAL (
    SELECT i.* FROM identities i WHERE i.workspace_id = wanted.workspace_id AND i.identity_id = wanted.identity_id LIMIT 1
) AS i
LEFT JOIN LATERAL (
    SELECT c.blocks, c.blocks_since FROM contacts c WHERE c.workspace_id = i.workspace_id AND c.contact_id = i.home_id LIMIT 1
) AS h ON true

-- name: add_identities
-- An address that another contact had begins where that one ended. Who opted out there has opted out.
INSERT INTO identities (workspace_id, channel, scope, lookup, address, contact_id, channel_id, connected_at, began_at, opted_out,
    opted_at, opted_by)
SELECT new.workspace_id, new.channel, new.scope, new.lookup, new.address, new.contact_id, new.channel_id, new.connected_at,
    before.ended_at, coalesce(before.opted_out, false), before.opted_at, before.opted_by
FROM unnest($1::text::text[], $2::text::text[], $3::text::text[], $4::text::text[], $5::text::text[], $6::text::text[], $7::uuid[],
    $8::timestamptz[]) AS new (workspace_id, channel, scope, lookup, address, channel_id, contact_id, connected_at)
LEFT JOIN LATERAL (
    SELECT i.ended_at, i.opted_out, i.opted_at, i.opted_by FROM identities i
    WHERE i.workspace_id = new.workspace_id AND i.channel = new.channel AND i.scope = new.scope AND i.lookup = new.lookup
        AND i.ended_at IS NOT NULL
    ORDER BY i.ended_at DESC LIMIT 1
) AS before ON true
ORDER BY new.workspace_id, new.channel, new.scope, new.lookup
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
    c.avatar_url, c.merged_into
FROM unnest($1::text[], $2::uuid[]) AS wanted (workspace_id, contact_id)
JOIN living_contacts c USING (workspace_id, contact_id)

-- name: lock_shared
SELECT workspace_id, contact_id, conversation_id, profile_id, profile_at, blocks, blocks_since, blocked_by, opened_at, closed_at,
    user_opened_at, CASE WHEN snoozed_until IS NOT NULL THEN snoozed_at END, display_name, language, avatar_url, merged_into
FROM contacts c
WHERE (workspace_id, contact_id) IN (SELECT * FROM unnest($1::text[], $2::uuid[])) AND NOT EXISTS (
    SELECT FROM deleted_contacts d
    WHERE d.workspace_id = c.workspace_id AND d.contact_id = c.contact_id AND NOT d.cut_off OFFSET 0
)
ORDER BY workspace_id, contact_id FOR KEY SHARE

-- name: lock_buckets
SELECT FROM contact_locks
WHERE bucket = ANY(ARRAY(SELECT DISTINCT bucket(contact_id) FROM unnest($1::uuid[]) AS contact_id)) ORDER BY bucket FOR UPDATE

-- name: lock_for_update
SELECT workspace_id, contact_id, conversation_id, profile_id, profile_at, blocks, blocks_since, blocked_by, opened_at, closed_at,
    user_opened_at, CASE WHEN snoozed_until IS NOT NULL THEN snoozed_at END, display_name, language, avatar_url, merged_into
FROM contacts c
WHERE (workspace_id, contact_id) IN (SELECT * FROM unnest($1::text[], $2::uuid[])) AND NOT EXISTS (
    SELECT FROM deleted_contacts d
    WHERE d.workspace_id = c.workspace_id AND d.contact_id = c.contact_id AND NOT d.cut_off OFFSET 0
)
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
-- An opt-out is of the address: what is said of an owner before holds for who has it now.
UPDATE identities i SET opted_out = new.opted_out, opted_at = new.at, opted_by = new.by
FROM (
    SELECT DISTINCT ON (new.workspace_id, about.identity_id) new.workspace_id, about.identity_id, new.opted_out, new.at, new.by
    FROM unnest($1::text[], $2::bigint[], $3::boolean[], $4::timestamptz[], $5::uuid[])
        AS new (workspace_id, identity_id, opted_out, at, by)
    CROSS JOIN LATERAL (
        SELECT new.identity_id
        UNION ALL
        SELECT present.identity_id FROM (
            SELECT i.channel, i.scope, i.lookup, i.ended_at FROM identities i
            WHERE i.workspace_id = new.workspace_id AND i.identity_id = new.identity_id LIMIT 1
        ) AS own
        CROSS JOIN LATERAL (
            SELECT i.identity_id FROM identities i
            WHERE i.workspace_id = new.workspace_id AND i.channel = own.channel AND i.scope = own.scope AND i.lookup = own.lookup
                AND i.ended_at IS NULL LIMIT 1
        ) AS present
        WHERE own.ended_at IS NOT NULL
    ) AS about
    ORDER BY new.workspace_id, about.identity_id, new.at DESC, new.by DESC
) AS new
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
SELECT d.workspace_id, d.contact_id, d.revision AS marked, CASE WHEN c.merged_into IS NULL THEN c.revision END AS revision,
    c.revision AS stored_revision, o.display_name, o.first_name, o.last_name, o.country,
    o.language, o.email, o.phone, o.assignee, o.avatar_url, o.custom, o.tags, o.blocked, o.profile_id, o.conversation_status,
    (SELECT json_agg(json_build_object('channel', i.channel, 'channel_id', nullif(i.scope, ''), 'address', i.address)
            ORDER BY i.identity_id)
        FROM identities i WHERE i.workspace_id = d.workspace_id AND i.contact_id = d.contact_id AND i.removed_at IS NULL) AS identities
FROM (SELECT * FROM unpublished_contacts ORDER BY workspace_id, contact_id LIMIT $1) AS d
LEFT JOIN living_contacts c USING (workspace_id, contact_id)
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
JOIN living_contacts c USING (workspace_id, contact_id)
WHERE c.merged_into IS NULL

-- name: present
-- Who these contacts are now: those that were merged away.
SELECT c.workspace_id, c.contact_id, c.merged_into
FROM unnest($1::text[], $2::uuid[]) AS wanted (workspace_id, contact_id)
CROSS JOIN LATERAL (
    SELECT c.* FROM contacts c WHERE c.workspace_id = wanted.workspace_id AND c.contact_id = wanted.contact_id LIMIT 1
) AS c
WHERE c.merged_into IS NOT NULL

-- name: merged_into
-- The contacts that were merged into these.
SELECT c.workspace_id, c.merged_into, c.contact_id
FROM unnest($1::text[], $2::uuid[]) AS wanted (workspace_id, contact_id)
CROSS JOIN LATERAL (
    SELECT c.workspace_id, c.merged_into, c.contact_id FROM contacts c
    WHERE c.workspace_id = wanted.workspace_id AND c.merged_into = wanted.contact_id AND c.merged_into IS NOT NULL OFFSET 0
) AS c

-- name: mark_for_repair
INSERT INTO unpublished_contacts (workspace_id, contact_id, revision)
SELECT workspace_id, contact_id, -nextval('repair_revisions')
FROM (SELECT * FROM unnest($1::text[], $2::uuid[]) AS t (workspace_id, contact_id) ORDER BY workspace_id, contact_id) AS t
ON CONFLICT (workspace_id, contact_id) DO UPDATE SET revision = excluded.revision
