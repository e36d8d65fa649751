-- name: queue
SELECT h.workspace_id, h.send_id, h.group_id, h.contact_id, c.display_name, CASE WHEN c.display_name IS NULL THEN (
        SELECT d.address FROM sluice.send_details(h.workspace_id, h.send_id) AS d
    ) END AS address, h.channel, h.content ->> 'type' AS type,
    left(h.content ->> 'text', 200) AS text, h.reasons, h.releasable, h.requested_by, h.held_at, h.expires_at
FROM (
    SELECT * FROM sluice.held_sends
    WHERE workspace_id = $1 AND ($2::text IS NULL OR group_id = $2) AND (held_at, send_id)
        > (coalesce($3::timestamptz, '-infinity'), coalesce($4::uuid, '00000000-0000-0000-0000-000000000000'))
    ORDER BY held_at, send_id LIMIT $5
) AS h
LEFT JOIN LATERAL (
    SELECT c.display_name FROM sluice.contact_overview AS c
    WHERE c.workspace_id = h.workspace_id AND c.contact_id = h.contact_id OFFSET 0
) AS c ON true
ORDER BY h.held_at, h.send_id

-- name: next
-- The hold behind one, or else the first.
(
    SELECT false AS around, held_at, send_id FROM sluice.held_sends
    WHERE workspace_id = $1 AND ($2::text IS NULL OR group_id = $2) AND (held_at, send_id) > ($3::timestamptz, $4::uuid)
    ORDER BY held_at, send_id LIMIT 1
)
UNION ALL
(
    SELECT true, held_at, send_id FROM sluice.held_sends
    WHERE workspace_id = $1 AND ($2::text IS NULL OR group_id = $2)
    ORDER BY held_at, send_id LIMIT 1
)
ORDER BY around LIMIT 1

-- name: answer
-- What became of a hold, and who answered it. Rejections are found among the commands that were applied at that time.
SELECT s.status, s.reason, coalesce(c.confirmed_by, r.actor) AS answered_by, coalesce(c.confirmed_at, r.at, s.updated_at) AS answered_at
FROM sluice.sends AS s
LEFT JOIN LATERAL (
    SELECT c.confirmed_by, c.confirmed_at FROM sluice.send_confirmations AS c
    WHERE c.workspace_id = s.workspace_id AND c.send_id = s.send_id AND c.outcome <> 'held' AND s.status <> 'rejected'
    ORDER BY c.confirmed_at DESC LIMIT 1
) AS c ON true
LEFT JOIN LATERAL (
    SELECT a.actor, a.at FROM sluice.audit_log AS a
    WHERE s.status = 'rejected' AND a.workspace_id = s.workspace_id
        AND a.at BETWEEN s.updated_at - interval '1 minute' AND s.updated_at + interval '1 minute'
        AND a.command = 'reject_send' AND a.outcome = 'done'
        AND a.target IN ('{"send_id":"' || s.send_id || '"}', '{"group_id":' || to_json(s.group_id) || '}')
    ORDER BY a.at DESC LIMIT 1
) AS r ON true
WHERE s.workspace_id = $1 AND s.send_id = $2

-- name: waiting
SELECT count(*) FROM (SELECT FROM sluice.held_sends WHERE workspace_id = $1 AND group_id = $2 LIMIT $3) AS h

-- name: outlook
-- What confirming the first $4 holds of a group would do now: each is counted once.
SELECT count(*) AS looked_at, count(*) FILTER (WHERE o.outcome = 'expired') AS expired,
    count(*) FILTER (WHERE o.outcome = 'own') AS own, count(*) FILTER (WHERE o.outcome = 'refused') AS refused,
    count(*) FILTER (WHERE o.outcome = 'held') AS held, count(*) FILTER (WHERE o.outcome = 'released') AS released
FROM (
    SELECT CASE
        WHEN h.expires_at <= now() THEN 'expired'
        WHEN w.two_person_confirm AND h.requested_by = $3 THEN 'own'
        WHEN g.refusals <> '{}' THEN 'refused'
        WHEN json_array_length(g.new_grounds) > 0 THEN 'held'
        ELSE 'released'
    END AS outcome
    FROM (
        SELECT workspace_id, send_id, requested_by, expires_at FROM sluice.held_sends
        WHERE workspace_id = $1 AND group_id = $2 ORDER BY held_at, send_id LIMIT $4
    ) AS h
    CROSS JOIN LATERAL sluice.hold_details(h.workspace_id, h.send_id) AS g
    LEFT JOIN sluice.workspace_settings AS w ON w.workspace_id = h.workspace_id
) AS o
