-- name: now
SELECT clock_timestamp()

-- name: results
SELECT r.workspace_id, r.command_id, r.command, r.outcome, r.reason, r.detail, r.changed, r.at
FROM unnest($1::text[], $2::uuid[]) AS asked (workspace_id, command_id)
CROSS JOIN LATERAL (
    SELECT * FROM sluice.command_results AS r
    WHERE r.workspace_id = asked.workspace_id AND r.command_id = asked.command_id OFFSET 0
) AS r

-- name: sends
SELECT s.workspace_id, s.send_id, s.group_id, s.contact_id, s.channel, s.status, s.reason, s.attempt, s.updated_at,
    coalesce(h.reasons, '{}') AS reasons
FROM unnest($1::text[], $2::uuid[]) AS asked (workspace_id, send_id)
CROSS JOIN LATERAL (
    SELECT * FROM sluice.sends AS s
    WHERE s.workspace_id = asked.workspace_id AND s.send_id = asked.send_id OFFSET 0
) AS s
LEFT JOIN LATERAL (
    SELECT h.reasons FROM sluice.held_sends AS h
    WHERE s.status = 'held' AND h.workspace_id = s.workspace_id AND h.send_id = s.send_id OFFSET 0
) AS h ON true
