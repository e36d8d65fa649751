-- name: inbound
SELECT
    (SELECT count(*) FROM messages WHERE kind IN ('message', 'reaction') AND drop_reason IS NULL) AS accepted,
    (SELECT count(*) FROM sluice.drop_ledger) AS dropped,
    (SELECT count(*) FROM messages WHERE kind = 'echo') AS echoes,
    (SELECT coalesce(sum(times), 0) FROM sluice.message_conflicts) AS conflicts,
    (SELECT count(*) FROM sluice.dead_letters WHERE source_topic = 'messages.inbound') AS dead

-- name: dropped
SELECT reason, rule, counted, count(*) AS messages FROM sluice.drop_ledger GROUP BY reason, rule, counted ORDER BY 1, 2, 3

-- name: sends
SELECT status, reason, count(*) AS sends FROM sluice.sends GROUP BY status, reason ORDER BY status, reason

-- name: holds
SELECT
    count(*) FILTER (WHERE held_at IS NOT NULL) AS ever,
    count(*) FILTER (WHERE held_at IS NOT NULL AND status = 'held') AS waiting,
    count(*) FILTER (WHERE held_at IS NOT NULL AND status = 'rejected') AS rejected,
    count(*) FILTER (WHERE held_at IS NOT NULL AND status = 'expired') AS expired,
    count(*) FILTER (WHERE held_at IS NOT NULL AND status = 'cancelled') AS cancelled,
    count(*) FILTER (WHERE held_at IS NOT NULL AND status = 'refused') AS refused,
    count(*) FILTER (WHERE held_at IS NOT NULL AND attempt > 0) AS confirmed
FROM sends

-- name: hold_reasons
SELECT array_to_string(reasons, ' + ') AS reasons, count(*) AS sends FROM sends WHERE held_at IS NOT NULL GROUP BY 1 ORDER BY 1

-- name: runs
SELECT state, reason, count(*) AS runs FROM sluice.workflow_runs GROUP BY state, reason ORDER BY state, reason

-- name: commands
SELECT outcome, reason, count(*) AS commands FROM sluice.audit_log GROUP BY outcome, reason ORDER BY outcome, reason

-- name: dead_letters
SELECT source_topic, count(*) AS letters FROM sluice.dead_letters GROUP BY source_topic ORDER BY source_topic

-- name: mac
SELECT workspace_id, cycle_start, cycle_end, active_contacts, adjustments FROM sluice.mac_counts
ORDER BY workspace_id, cycle_start

-- name: counted_messages
-- The data of a recount: every message with its contact.
SELECT m.workspace_id, i.contact_id, m.channel_id, m.kind, m.event_time, m.released, m.drop_reason IS NOT NULL AS dropped,
    c.blocks
FROM messages m
JOIN owned_identities i USING (workspace_id, identity_id)
JOIN contacts c USING (workspace_id, contact_id)

-- name: workspaces
SELECT workspace_id FROM workspaces ORDER BY workspace_id

-- name: analyze
ANALYZE messages, identities, contacts
