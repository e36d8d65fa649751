-- name: by_name
SELECT * FROM sluice.contacts_by_name($1, $2, $3, $4)

-- name: with_tag
SELECT l.* FROM sluice.contact_page($1, $2, coalesce($3::uuid, '00000000-0000-0000-0000-000000000000'), $4) AS p
CROSS JOIN LATERAL (
    SELECT l.* FROM sluice.contact_list AS l WHERE l.workspace_id = $1 AND l.contact_id = p.contact_id OFFSET 0
) AS l
ORDER BY l.contact_id

-- name: blocked
SELECT o.*, b.blocked_at, b.blocked_by
FROM (
    SELECT contact_id, blocked_at, blocked_by FROM sluice.blocked_contacts
    WHERE workspace_id = $1 AND (blocked_at, contact_id)
        < (coalesce($2::timestamptz, 'infinity'), coalesce($3::uuid, '00000000-0000-0000-0000-000000000000'))
    ORDER BY blocked_at DESC, contact_id DESC LIMIT $4
) AS b
CROSS JOIN LATERAL (
    SELECT o.* FROM sluice.contact_overview AS o WHERE o.workspace_id = $1 AND o.contact_id = b.contact_id OFFSET 0
) AS o
ORDER BY b.blocked_at DESC, b.contact_id DESC

-- name: found
-- Each page asks for all that the function gives: of fewer it may choose others.
SELECT * FROM (
    SELECT c.*, (NOT starts_with(coalesce(lower(normalize(c.display_name, NFC)), ''), lower(normalize(btrim($2), NFC))))::int AS _rank,
        coalesce(lower(normalize(c.display_name, NFC)), '') COLLATE "C" AS _name
    FROM sluice.search_contacts($1, $2, 1000) AS c
) AS c
WHERE $3::bigint IS NULL OR (_rank, _name, contact_id) > ($3::bigint, $4::text, $5::uuid)
ORDER BY _rank, _name, contact_id LIMIT $6

-- name: contact
SELECT o.*, b.blocked_at, b.blocked_by FROM sluice.contact_overview AS o
LEFT JOIN sluice.blocked_contacts AS b ON b.workspace_id = o.workspace_id AND b.contact_id = o.contact_id
WHERE o.workspace_id = $1 AND o.contact_id = $2

-- name: present
-- Who a contact is now, after merges.
WITH RECURSIVE present (contact_id, hops) AS (
    SELECT $2::uuid, 0
    UNION ALL
    SELECT m.survivor_id, p.hops + 1 FROM present AS p
    JOIN sluice.merge_history AS m ON m.workspace_id = $1 AND m.loser_id = p.contact_id AND m.undone_at IS NULL
    WHERE p.hops < 1000
)
SELECT contact_id FROM present ORDER BY hops DESC LIMIT 1

-- name: channels
SELECT workspace_id, contact_id, channel, channel_id, address, state, connected_at, opted_out, coalesce(channel_id, '') AS _channel_id,
    coalesce(address, '') AS _address
FROM sluice.contact_channels
WHERE workspace_id = $1 AND contact_id = $2 AND (channel, coalesce(channel_id, ''), coalesce(address, ''))
    > (coalesce($3::text, ''), coalesce($4::text, ''), coalesce($5::text, ''))
ORDER BY channel, coalesce(channel_id, ''), coalesce(address, '') LIMIT $6

-- name: messages
SELECT * FROM sluice.conversation_page($1, $2, $3, $4, $5)

-- name: suggestions_of
SELECT contact_id, field, value FROM sluice.suggestions_of($1, $2) LIMIT $3

-- name: suggestions
SELECT workspace_id, contact_ids, field, value FROM sluice.merge_suggestions
WHERE workspace_id = $1 AND (field, value) > (coalesce($2::text, ''), coalesce($3::text, ''))
ORDER BY field, value LIMIT $4

-- name: merges
SELECT workspace_id, merge_id, survivor_id, loser_id, actor, merged_at, undone_at FROM sluice.merge_history
WHERE workspace_id = $1 AND (merged_at, merge_id)
    < (coalesce($2::timestamptz, 'infinity'), coalesce($3::uuid, '00000000-0000-0000-0000-000000000000'))
ORDER BY merged_at DESC, merge_id DESC LIMIT $4
