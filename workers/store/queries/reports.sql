-- name: mac
SELECT workspace_id, cycle_start, cycle_end, active_contacts, adjustments, status, closed_at, revision
FROM sluice.mac_counts
WHERE ($1::text IS NULL OR workspace_id = $1) AND ($2::timestamptz IS NULL OR cycle_end > $2)
ORDER BY workspace_id, cycle_start DESC LIMIT $3

-- name: explain_mac
SELECT message_id, channel, kind, event_time, counted, explanation FROM sluice.explain_mac($1, $2, $3)

-- name: holds
SELECT workspace_id, send_id, group_id, contact_id, profile_id, channel, reasons, releasable, requested_by, requested_at,
    held_at, expires_at
FROM sluice.held_sends
WHERE $1::text IS NULL OR workspace_id = $1
ORDER BY expires_at LIMIT $2

-- name: progress
SELECT consumer_group, topic, partition, owner, next_offset, updated_at FROM sluice.partition_progress
ORDER BY topic, partition

-- name: dead_letters
SELECT status, count(*) AS letters, max(first_seen) AS newest FROM sluice.dead_letters GROUP BY status ORDER BY status

-- name: backlog
SELECT
    (SELECT count(*) FROM owed) AS owed_batches,
    (SELECT count(*) FROM outbox) AS outbox_facts,
    (SELECT count(*) FROM dirty_contacts) AS contacts_to_publish,
    (SELECT count(*) FROM dirty_cycles) AS counts_to_publish,
    (SELECT count(*) FROM revisions_due) AS revisions_due,
    (SELECT count(*) FROM parked_receipts) AS parked_receipts,
    (SELECT count(*) FROM sluice.held_sends) AS holds
