-- name: counts
-- Beside the folders of an inbox.
SELECT coalesce(sum(contacts) FILTER (WHERE status = 'open'), 0)::bigint AS open,
    coalesce(sum(contacts) FILTER (WHERE status = 'open' AND assignee = $2), 0)::bigint AS mine,
    coalesce(sum(contacts) FILTER (WHERE status = 'snoozed'), 0)::bigint AS snoozed,
    coalesce(sum(contacts) FILTER (WHERE status = 'closed'), 0)::bigint AS closed,
    coalesce(sum(contacts) FILTER (WHERE status = 'blocked'), 0)::bigint AS blocked
FROM sluice.inbox_counts WHERE workspace_id = $1

-- name: folder
-- Those without a message come last; they have an order of the index, or every row would be looked at.
SELECT i.*, c.display_name, c.phone, c.email, m.last_text
FROM (
    (
        SELECT 0::bigint AS _silent, last_message_at AS _at, contact_id, status, assignee, last_message_at, last_direction, snoozed_until
        FROM sluice.inbox
        WHERE workspace_id = $1 AND status = $2 AND ($3::text IS NULL OR assignee = $3) AND last_message_at IS NOT NULL
            AND $4::bigint IS DISTINCT FROM 1 AND (last_message_at, contact_id)
            < (coalesce($5::timestamptz, 'infinity'), coalesce($6::uuid, 'ffffffff-ffff-ffff-ffff-ffffffffffff'))
        ORDER BY last_message_at DESC, contact_id DESC LIMIT $7
    )
    UNION ALL
    (
        SELECT 1, '1970-01-01T00:00:00Z', contact_id, status, assignee, last_message_at, last_direction, snoozed_until
        FROM sluice.inbox
        WHERE workspace_id = $1 AND status = $2 AND ($3::text IS NULL OR assignee = $3) AND last_message_at IS NULL
            AND contact_id < CASE WHEN $4::bigint = 1 THEN $6::uuid ELSE 'ffffffff-ffff-ffff-ffff-ffffffffffff' END
        ORDER BY last_message_at DESC, contact_id DESC LIMIT $7
    )
    ORDER BY _silent, _at DESC, contact_id DESC LIMIT $7
) AS i
LEFT JOIN LATERAL (
    SELECT c.display_name, c.phone, c.email FROM sluice.contact_overview AS c
    WHERE c.workspace_id = $1 AND c.contact_id = i.contact_id OFFSET 0
) AS c ON true
LEFT JOIN LATERAL (
    SELECT left(coalesce(m.content ->> 'text', m.content ->> 'subject'), 200) AS last_text
    FROM sluice.conversation_page($1, i.contact_id, NULL, NULL, 1) AS m
) AS m ON i.last_message_at IS NOT NULL
ORDER BY i._silent, i._at DESC, i.contact_id DESC

-- name: snoozed_until
SELECT snoozed_until FROM sluice.inbox WHERE workspace_id = $1 AND contact_id = $2

-- name: routes
-- The channels of a contact, those that are connected first, with why a send would not leave now.
SELECT r.channel, r.channel_id, r.name, r.address, r.state, r.connected_at, r.opted_out, coalesce(m.reasons, '{}') AS reasons
FROM (
    SELECT c.channel, coalesce(c.channel_id, k.channel_id) AS channel_id, k.name, c.address, c.state, c.connected_at, c.opted_out
    FROM sluice.contact_channels AS c
    LEFT JOIN LATERAL (
        SELECT k.channel_id, k.name FROM sluice.channels AS k
        WHERE k.workspace_id = $1 AND k.channel = c.channel AND (c.channel_id IS NULL OR k.channel_id = c.channel_id)
        ORDER BY k.channel_id LIMIT 1
    ) AS k ON true
    WHERE c.workspace_id = $1 AND c.contact_id = $2
    ORDER BY c.state, c.connected_at DESC NULLS LAST, c.channel, c.channel_id LIMIT $3
) AS r
LEFT JOIN LATERAL sluice.may_send($1, $2::uuid, r.channel_id) AS m ON r.channel_id IS NOT NULL
ORDER BY r.state, r.connected_at DESC NULLS LAST, r.channel, r.channel_id

-- name: grounds
-- What protects a profile, by its status and companies.
SELECT 'status_protected' AS code, name AS of, name FROM sluice.profile_statuses WHERE workspace_id = $1 AND name = $2 AND protected
UNION ALL
SELECT 'company_protected', company_id, name FROM sluice.companies
WHERE workspace_id = $1 AND company_id = ANY ($3::text[]) AND protected

-- name: held
SELECT send_id, channel, held_at, left(content ->> 'text', 200) AS text FROM sluice.held_sends
WHERE workspace_id = $1 AND contact_id = $2 ORDER BY held_at, send_id LIMIT $3

-- name: dropped
SELECT count(*) FROM (SELECT FROM sluice.drop_ledger WHERE workspace_id = $1 AND contact_id = $2 LIMIT $3) AS d

-- name: uncounted_from
-- When messages that are dropped for a block at this time stop to count; null: they never count.
SELECT c.cycle_end FROM sluice.mac_counts AS c
WHERE c.workspace_id = $1 AND c.cycle_start <= $2 AND c.cycle_end > $2
    AND (SELECT w.mac_block_effect FROM sluice.workspace_settings AS w WHERE w.workspace_id = $1) = 'next_cycle'

-- name: people
SELECT name FROM sluice_console.users
WHERE disabled_at IS NULL AND (is_operator OR $1 = ANY (workspaces)) ORDER BY name LIMIT $2
