-- Content that a workspace does not keep any longer.

-- name: next
-- The workspace that waited longest, of those with a pass under way, with another setting than that of its last pass, or whose last
-- pass ended more than $2 hours ago.
SELECT d.workspace_id, d.days, p.identity_id IS NOT NULL AND p.days = d.days AS under_way
FROM retention_days d
LEFT JOIN retention_passes p USING (workspace_id)
WHERE d.days IS NOT NULL AND (
    p.workspace_id IS NULL OR p.days <> d.days OR p.identity_id IS NOT NULL OR p.served_at <= $1::timestamptz - make_interval(hours => $2::int)
)
ORDER BY p.served_at NULLS FIRST, d.workspace_id LIMIT 1

-- name: begin
-- A pass begins a day before the end of the last one: a transaction may take its time. Once in a while, and by another setting, it
-- begins with the oldest message: rare cases are older when they are stored than what the last pass looked at.
INSERT INTO retention_passes AS p (workspace_id, days, since, until, whole_at, identity_id, generation, event_time, served_at)
VALUES ($1, $2::int, '-infinity', $3::timestamptz - make_interval(days => $2::int), $3::timestamptz, 0, 0, '-infinity', $3::timestamptz)
ON CONFLICT (workspace_id) DO UPDATE SET days = excluded.days, until = excluded.until, identity_id = 0, generation = 0,
    (since, whole_at) = (
        SELECT CASE WHEN again.whole THEN '-infinity' ELSE p.until - interval '1 day' END,
            CASE WHEN again.whole THEN excluded.whole_at ELSE p.whole_at END
        FROM (SELECT p.days <> excluded.days OR p.whole_at <= excluded.whole_at - make_interval(days => $4::int) AS whole) AS again
    ), event_time = '-infinity'

-- name: erase_messages
WITH step AS MATERIALIZED (
    SELECT e.* FROM retention_passes p
    CROSS JOIN LATERAL erase_old_messages(
        p.workspace_id, p.since, p.until, p.identity_id, p.generation, p.event_time, $2, $3
    ) AS e
    WHERE p.workspace_id = $1
)
UPDATE retention_passes p SET identity_id = step.identity_id, generation = step.generation, event_time = step.event_time, served_at = $4
FROM step WHERE p.workspace_id = $1
RETURNING p.until, p.identity_id = 9223372036854775807 AS over

-- name: erase_sends
WITH found AS MATERIALIZED (
    SELECT s.send_id FROM sends s
    WHERE s.workspace_id = $1 AND s.updated_at < $2 AND s.retry_at IS NULL AND s.content::text <> '{}'
        AND s.status IN ('refused', 'rejected', 'expired', 'cancelled', 'failed', 'ambiguous')
    ORDER BY s.updated_at LIMIT $3 FOR UPDATE SKIP LOCKED
), answers AS (
    UPDATE send_attempts a SET error_message = NULL FROM found
    WHERE a.workspace_id = $1 AND a.send_id = found.send_id AND a.error_message IS NOT NULL
)
UPDATE sends s SET content = '{}' FROM found WHERE s.workspace_id = $1 AND s.send_id = found.send_id

-- name: erase_comments
UPDATE comments SET text = NULL WHERE (workspace_id, contact_id, written_at, comment_id) IN (
    SELECT workspace_id, contact_id, written_at, comment_id FROM comments
    WHERE workspace_id = $1 AND written_at < $2 AND text IS NOT NULL ORDER BY written_at LIMIT $3 FOR UPDATE SKIP LOCKED)

-- name: end
UPDATE retention_passes SET identity_id = NULL WHERE workspace_id = $1
