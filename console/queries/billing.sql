-- name: counts
-- With what is proven and what is still unread.
SELECT c.*, b.at_least, b.at_most, b.as_of
FROM (
    SELECT * FROM sluice.mac_counts
    WHERE workspace_id = $1 AND cycle_start < coalesce($2::timestamptz, 'infinity') ORDER BY cycle_start DESC LIMIT $3
) AS c
LEFT JOIN sluice.mac_bounds AS b ON b.workspace_id = c.workspace_id AND b.cycle_start = c.cycle_start
ORDER BY c.cycle_start DESC

-- name: contacts
SELECT * FROM sluice.counted_page($1, $2, $3, $4, $5)

-- name: adjustments
SELECT adjustment_id, workspace_id, cycle_start, contact_id, amount, cause, at, fact_id FROM sluice.mac_adjustments
WHERE workspace_id = $1 AND cycle_start = $2 AND adjustment_id > coalesce($3::bigint, 0) ORDER BY adjustment_id LIMIT $4

-- name: has_cycle
SELECT EXISTS (SELECT FROM sluice.mac_counts WHERE workspace_id = $1 AND cycle_start = $2)

-- name: present_cycle
SELECT cycle_start FROM sluice.mac_counts WHERE workspace_id = $1 AND cycle_start <= now() ORDER BY cycle_start DESC LIMIT 1

-- name: explained
SELECT * FROM (
    SELECT e.*, CASE WHEN e.rule = 'proof' THEN 0 WHEN e.counted THEN 1 ELSE 2 END AS _place
    FROM sluice.explain_mac($1, $2, $3) AS e
) AS e
WHERE $4::bigint IS NULL OR (_place, event_time, message_id) > ($4::bigint, $5::timestamptz, $6::uuid)
ORDER BY _place, event_time, message_id LIMIT $7

-- name: last_cycles
SELECT cycle_start, cycle_end, active_contacts, adjustments, status FROM sluice.mac_counts
WHERE workspace_id = $1 AND cycle_start <= coalesce($2, now()) ORDER BY cycle_start DESC LIMIT $3

-- name: zones
SELECT c.cycle_start, z.value AS time_zone
FROM unnest($2::timestamptz[]) AS c (cycle_start)
CROSS JOIN LATERAL (
    SELECT s.value FROM sluice.settings_in_effect AS s
    WHERE s.workspace_id = $1 AND s.name = 'time_zone' AND s.holds_from <= c.cycle_start ORDER BY s.holds_from DESC LIMIT 1
) AS z

-- name: days
SELECT cycle_start, day, active_contacts FROM sluice.mac_days
WHERE workspace_id = $1 AND cycle_start = ANY ($2::timestamptz[]) ORDER BY cycle_start, day

-- name: now
SELECT now()
