-- name: holds
SELECT workspace_id, send_id, group_id, contact_id, profile_id, channel, reasons, releasable, requested_by, requested_at,
    held_at, expires_at
FROM sluice.held_sends
WHERE ($1::text IS NULL OR workspace_id = $1) AND ($2::text IS NULL OR group_id = $2)
ORDER BY expires_at LIMIT $3

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

-- name: holds_of_group
SELECT count(*) FROM (
    SELECT FROM sluice.held_sends WHERE workspace_id = $1 AND group_id = $2 LIMIT $3
) AS h

-- name: sends_everywhere
SELECT p.* FROM sluice.workspace_settings w CROSS JOIN LATERAL sluice.sends_page(w.workspace_id, $1, NULL, NULL, $2) AS p
ORDER BY p.updated_at DESC, p.send_id DESC LIMIT $2

-- name: sends_page
SELECT * FROM sluice.sends_page($1, $2, $3, $4, $5)

-- name: sends_of_contact
SELECT workspace_id, send_id, group_id, contact_id, channel, status, reason, attempt, updated_at FROM sluice.sends
WHERE workspace_id = $1 AND contact_id = $2 AND ($3::text IS NULL OR group_id = $3) AND ($4::text IS NULL OR status = $4)
    AND (updated_at, send_id) < ($5::timestamptz, $6::uuid)
ORDER BY updated_at DESC, send_id DESC LIMIT $7

-- name: sends_of_group
SELECT workspace_id, send_id, group_id, contact_id, channel, status, reason, attempt, updated_at FROM sluice.sends
WHERE workspace_id = $1 AND group_id = $2 AND ($3::text IS NULL OR status = $3)
    AND (updated_at, send_id) < ($4::timestamptz, $5::uuid)
ORDER BY updated_at DESC, send_id DESC LIMIT $6

-- name: group
SELECT status, sends FROM sluice.send_groups WHERE workspace_id = $1 AND group_id = $2 ORDER BY status

-- name: send
SELECT s.workspace_id, s.send_id, s.group_id, s.contact_id, c.display_name, s.channel, d.channel_id, d.address, d.content, d.source,
    d.run_id, d.step_id, d.requested_by, d.requested_role, d.requested_at, s.status, s.reason, s.attempt, d.next_attempt_at,
    s.updated_at, now() AS now
FROM sluice.sends s
CROSS JOIN LATERAL sluice.send_details(s.workspace_id, s.send_id) d
LEFT JOIN sluice.contact_overview c ON c.workspace_id = s.workspace_id AND c.contact_id = s.contact_id
WHERE s.workspace_id = $1 AND s.send_id = $2

-- name: attempts
SELECT attempt, dispatched_at, claimed_at, status, provider_message_id, error_code, error_message, at FROM sluice.send_attempts
WHERE workspace_id = $1 AND send_id = $2 ORDER BY attempt

-- name: confirmations
SELECT confirmed_by, role, confirmed_at, reasons, outcome, content_sha256 FROM sluice.send_confirmations
WHERE workspace_id = $1 AND send_id = $2 ORDER BY confirmed_at, confirmed_by

-- name: status_of_send
SELECT status FROM sluice.sends WHERE workspace_id = $1 AND send_id = $2

-- name: region
SELECT default_region FROM sluice.workspace_settings WHERE workspace_id = $1

-- name: channels_named
SELECT channel_id, channel, default_region FROM sluice.channels
WHERE workspace_id = $1 AND (channel_id = $2 OR channel = $2) ORDER BY channel_id

-- name: may_send_to_contact
SELECT allowed, reason, reasons FROM sluice.may_send($1::text, $2::uuid, $3::text, $4::bytea[])

-- name: may_send_to_address
SELECT allowed, reason, reasons FROM sluice.may_send($1::text, $2::text, $3::text, $4::bytea[])
