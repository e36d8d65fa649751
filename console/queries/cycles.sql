-- name: cycle
SELECT c.workspace_id, c.cycle_start, c.cycle_end, c.active_contacts, c.adjustments, c.status, c.closed_at, b.at_least, b.at_most, b.as_of
FROM sluice.mac_counts AS c
LEFT JOIN sluice.mac_bounds AS b ON b.workspace_id = c.workspace_id AND b.cycle_start = c.cycle_start
WHERE c.workspace_id = $1 AND c.cycle_start = $2

-- name: cycles
-- The newest first, up to now, each with the time zone that holds for it.
SELECT c.cycle_start, c.cycle_end, c.active_contacts, c.status, z.time_zone
FROM (
    SELECT cycle_start, cycle_end, active_contacts, status FROM sluice.mac_counts
    WHERE workspace_id = $1 AND cycle_start <= now() ORDER BY cycle_start DESC LIMIT $2
) AS c
LEFT JOIN LATERAL (
    SELECT s.value #>> '{}' AS time_zone FROM sluice.settings_in_effect AS s
    WHERE s.workspace_id = $1 AND s.name = 'time_zone' AND s.holds_from <= c.cycle_start ORDER BY s.holds_from DESC LIMIT 1
) AS z ON true
ORDER BY c.cycle_start DESC

-- name: settings
SELECT mac_limit, close_grace_hours FROM sluice.workspace_settings WHERE workspace_id = $1

-- name: counting_again
SELECT done, total, since FROM sluice.counting_again WHERE workspace_id = $1

-- name: delays
SELECT topic, partition, applied_until FROM sluice.closing_delays
WHERE applied_until IS NULL OR applied_until < $1 ORDER BY topic, partition

-- name: contacts_from
SELECT contact_id, first_message_id, first_counted_at FROM sluice.mac_contacts
WHERE workspace_id = $1 AND cycle_start = $2 AND contact_id > $3 ORDER BY contact_id LIMIT $4

-- name: adjustments_after
SELECT adjustment_id, contact_id, amount, cause, fact_id, at FROM sluice.mac_adjustments
WHERE workspace_id = $1 AND cycle_start = $2 AND adjustment_id > $3 ORDER BY adjustment_id LIMIT $4

-- name: adjustments_of_contact
SELECT adjustment_id, contact_id, amount, cause, fact_id, at FROM sluice.mac_adjustments
WHERE workspace_id = $1 AND cycle_start = $2 AND contact_id = $3 ORDER BY adjustment_id LIMIT $4
