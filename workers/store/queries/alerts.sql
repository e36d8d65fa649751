-- Counts that reach a share of `mac_limit`.

-- name: counts_changed
-- Only workspaces that ever set a limit: most never do.
INSERT INTO alert_checks (workspace_id, cycle_start)
SELECT workspace_id, cycle_start FROM unnest($1::text[], $2::timestamptz[]) AS changed (workspace_id, cycle_start)
WHERE EXISTS (
    SELECT FROM effective_settings h
    WHERE h.workspace_id = changed.workspace_id AND h.channel_id = '' AND h.name = 'mac_limit'
)

-- name: limits_changed
INSERT INTO alert_checks (workspace_id, cycle_start)
SELECT workspace_id, cycle_start FROM mac_cycles WHERE workspace_id = ANY($1::text[]) AND status = 'open'

-- name: take_checks
-- Deletes the oldest $1 checks and returns their cycles. Two transactions at a time want the same ones: the second waits for the first.
DELETE FROM alert_checks WHERE id = ANY (ARRAY(SELECT id FROM alert_checks ORDER BY id LIMIT $1))
RETURNING workspace_id, cycle_start

-- name: limited_counts
-- A closed cycle is compared with the limit that held when it closed: a later one does not concern it.
SELECT c.workspace_id, c.cycle_start, c.active_contacts, l.mac_limit,
    ARRAY(SELECT t.threshold FROM told_alerts t WHERE t.workspace_id = c.workspace_id AND t.cycle_start = c.cycle_start) AS told
FROM unnest($1::text[], $2::timestamptz[]) AS wanted (workspace_id, cycle_start)
JOIN sluice.mac_counts c USING (workspace_id, cycle_start)
CROSS JOIN LATERAL (
    -- `strict`: a list is no number.
    SELECT jsonb_path_query_first(h.value, 'strict $ ? (@ >= 0 && @ <= 9007199254740991)')::bigint AS mac_limit
    FROM effective_settings h
    WHERE h.workspace_id = c.workspace_id AND h.channel_id = '' AND h.name = 'mac_limit'
        AND h.holds_from <= coalesce(c.closed_at, 'infinity')
    ORDER BY h.holds_from DESC LIMIT 1
) AS l
WHERE l.mac_limit IS NOT NULL
ORDER BY c.workspace_id, c.cycle_start

-- name: note_told
INSERT INTO told_alerts (workspace_id, cycle_start, threshold, told_at)
SELECT workspace_id, cycle_start, threshold, $4
FROM unnest($1::text[], $2::timestamptz[], $3::smallint[]) AS new (workspace_id, cycle_start, threshold)
ORDER BY workspace_id, cycle_start, threshold
