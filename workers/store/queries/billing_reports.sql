-- name: cycle
SELECT workspace_id, cycle_start, cycle_end, active_contacts, adjustments, status, closed_at FROM sluice.mac_counts
WHERE workspace_id = $1 AND cycle_start = $2

-- name: contacts_from
SELECT contact_id, first_message_id, first_counted_at FROM sluice.mac_contacts
WHERE workspace_id = $1 AND cycle_start = $2 AND contact_id >= $3 ORDER BY contact_id LIMIT $4

-- name: adjustments_after
SELECT adjustment_id, contact_id, amount, cause, fact_id, at FROM sluice.mac_adjustments
WHERE workspace_id = $1 AND cycle_start = $2 AND adjustment_id > $3 ORDER BY adjustment_id LIMIT $4

-- name: adjustment_batches
-- What became known at once, one transaction each; those that come to nothing are left out.
SELECT min(adjustment_id) AS first_id, at, sum(amount)::bigint AS amount FROM sluice.mac_adjustments
WHERE workspace_id = $1 AND cycle_start = $2 GROUP BY at HAVING sum(amount) <> 0 ORDER BY at

-- name: last_cycles
-- A workspace's newest cycles up to one, or up to now, newest first.
SELECT cycle_start, cycle_end, active_contacts, adjustments, status FROM sluice.mac_counts
WHERE workspace_id = $1 AND cycle_start <= coalesce($2, now()) ORDER BY cycle_start DESC LIMIT $3

-- name: zones
-- The time zone that holds for each cycle, as JSON text.
SELECT c.cycle_start, z.value #>> '{}' AS time_zone
FROM unnest($2::timestamptz[]) AS c (cycle_start)
CROSS JOIN LATERAL (
    SELECT s.value FROM sluice.settings_in_effect s
    WHERE s.workspace_id = $1 AND s.name = 'time_zone' AND s.holds_from <= c.cycle_start ORDER BY s.holds_from DESC LIMIT 1
) AS z

-- name: days
SELECT cycle_start, day, active_contacts FROM sluice.mac_days
WHERE workspace_id = $1 AND cycle_start = ANY ($2::timestamptz[]) ORDER BY cycle_start, day

-- name: counted
-- Those that were counted last on top.
SELECT contact_id, first_message_id, first_counted_at FROM sluice.counted_page($1, $2, $3, $4, $5)
