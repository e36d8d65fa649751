-- name: dropped_span
-- From the first to the last dropped message of a contact, and how many there are.
SELECT count(*) AS messages, min(event_time) AS first_at, max(event_time) AS last_at FROM sluice.drop_ledger
WHERE workspace_id = $1 AND contact_id = $2

-- name: blocked_since
SELECT blocked_at FROM sluice.blocked_contacts WHERE workspace_id = $1 AND contact_id = $2

-- name: under_way
SELECT done, total, asked_at FROM sluice.pending_work
WHERE workspace_id = $1 AND kind = 'release messages' AND subject = $2::uuid::text ORDER BY asked_at LIMIT 1
