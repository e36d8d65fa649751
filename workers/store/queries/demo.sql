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
-- The data of a recount: every message with its contact. Nobody whom the day deletes was ever blocked.
SELECT m.workspace_id, i.contact_id, m.channel_id, m.kind, m.event_time, m.released, m.drop_reason IS NOT NULL AS dropped,
    coalesce(c.blocks, '{}') AS blocks
FROM messages m
JOIN owned_identities i USING (workspace_id, identity_id)
LEFT JOIN contacts c USING (workspace_id, contact_id)

-- name: contacts
SELECT (SELECT count(*) FROM contacts) AS present,
    (SELECT count(*) FROM sluice.blocked_contacts) AS blocked,
    (SELECT count(*) FROM contacts WHERE snoozed_at IS NOT NULL) AS snoozed,
    (SELECT count(*) FROM contacts WHERE edited <> '{}') AS edited,
    (SELECT count(*) FROM sluice.contact_overview WHERE tags <> '{}') AS tagged,
    (SELECT count(*) FROM identities WHERE removed_at IS NOT NULL) AS removed,
    (SELECT count(*) FROM sluice.merge_history WHERE undone_at IS NULL) AS merged,
    (SELECT count(*) FROM sluice.merge_history WHERE undone_at IS NOT NULL) AS undone,
    (SELECT coalesce(sum(contacts), 0) FROM sluice.deletions) AS deleted,
    (SELECT coalesce(sum(done), 0) FROM sluice.deletions WHERE finished_at IS NOT NULL) AS erased

-- name: deletions_at_work
SELECT count(*) FROM sluice.deletions WHERE finished_at IS NULL

-- name: contact_ids
SELECT c.workspace_id, c.channel, c.address, c.contact_id FROM sluice.contact_channels c
JOIN unnest($1::text[], $2::text[], $3::text[]) AS wanted (workspace_id, channel, address) USING (workspace_id, channel, address)

-- name: workspaces
SELECT workspace_id FROM workspaces ORDER BY workspace_id

-- name: analyze
ANALYZE messages, identities, contacts

-- name: adjusted
SELECT cause, sum(amount)::int AS amount FROM sluice.mac_adjustments a
WHERE cycle_start = (SELECT min(cycle_start) FROM sluice.mac_adjustments) GROUP BY cause

-- name: is_closed
SELECT coalesce(bool_and(status = 'closed'), false) FROM sluice.mac_counts WHERE workspace_id = $1 AND cycle_end <= $2

-- name: adjusting
SELECT EXISTS (SELECT FROM late_facts JOIN mac_cycles USING (workspace_id, cycle_start) WHERE status = 'closed')

-- name: untouched
-- Three contacts that the first closed cycle counts, and whom nobody blocked, merged or deleted.
SELECT m.cycle_start, m.contact_id FROM mac_contacts m
JOIN contacts c USING (workspace_id, contact_id)
WHERE m.workspace_id = $1 AND c.blocks = '{}' AND c.merged_into IS NULL
    AND m.cycle_start = (SELECT min(cycle_start) FROM mac_cycles WHERE workspace_id = $1 AND status = 'closed' AND closed_contacts > 9)
    AND NOT EXISTS (SELECT FROM merges g WHERE g.workspace_id = m.workspace_id AND g.survivor_id = m.contact_id)
ORDER BY m.contact_id LIMIT 3
