-- name: held
SELECT h.workspace_id, h.send_id, h.group_id, h.contact_id, h.profile_id, h.channel, h.content, h.reasons, h.releasable,
    h.requested_by, h.requested_at, h.held_at, h.expires_at
FROM sluice.held_sends AS h
WHERE h.workspace_id = $1 AND ($2::text IS NULL OR h.group_id = $2) AND (h.held_at, h.send_id)
    > (coalesce($3::timestamptz, '-infinity'), coalesce($4::uuid, '00000000-0000-0000-0000-000000000000'))
ORDER BY h.held_at, h.send_id LIMIT $5

-- name: hold
SELECT h.workspace_id, h.send_id, h.group_id, h.contact_id, c.display_name, h.profile_id, h.channel, d.channel_id, d.address, h.content,
    h.reasons, g.shown_grounds, h.releasable, g.new_grounds, g.refusals, w.two_person_confirm, h.requested_by, d.requested_role,
    d.source, d.run_id, d.step_id, h.requested_at, h.held_at, h.expires_at, now() AS now
FROM sluice.held_sends h
CROSS JOIN LATERAL sluice.send_details(h.workspace_id, h.send_id) d
CROSS JOIN LATERAL sluice.hold_details(h.workspace_id, h.send_id) g
LEFT JOIN sluice.contact_overview c ON c.workspace_id = h.workspace_id AND c.contact_id = h.contact_id
LEFT JOIN sluice.workspace_settings w ON w.workspace_id = h.workspace_id
WHERE h.workspace_id = $1 AND h.send_id = $2

-- name: send
SELECT workspace_id, send_id, group_id, contact_id, channel, status, reason, attempt, updated_at FROM sluice.sends
WHERE workspace_id = $1 AND send_id = $2

-- name: sent
SELECT s.workspace_id, s.send_id, s.group_id, s.contact_id, s.channel, s.status, s.reason, s.attempt, s.updated_at, d.channel_id,
    d.address, d.content, d.source, d.run_id, d.step_id, d.requested_by, d.requested_role, d.requested_at, d.next_attempt_at,
    coalesce(h.reasons, '{}') AS reasons
FROM sluice.sends AS s
CROSS JOIN LATERAL sluice.send_details(s.workspace_id, s.send_id) AS d
LEFT JOIN sluice.held_sends AS h ON h.workspace_id = s.workspace_id AND h.send_id = s.send_id
WHERE s.workspace_id = $1 AND s.send_id = $2

-- name: attempts
SELECT attempt, dispatched_at, claimed_at, status, provider_message_id, error_code, error_message, at FROM sluice.send_attempts
WHERE workspace_id = $1 AND send_id = $2 ORDER BY attempt

-- name: confirmations
SELECT confirmed_by, role, confirmed_at, content_sha256, reasons, outcome FROM sluice.send_confirmations
WHERE workspace_id = $1 AND send_id = $2 ORDER BY confirmed_at, confirmed_by LIMIT 200

-- name: group
SELECT workspace_id, group_id, status, sends FROM sluice.send_groups WHERE workspace_id = $1 AND group_id = $2 ORDER BY status
