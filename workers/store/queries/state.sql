-- What metrics tell of the whole installation. Asked every few seconds, so each statement reads a bounded number of rows, however
-- many there are: it counts up to $1, in the order of an index that has no other rows.

-- name: now
SELECT extract(epoch FROM now())

-- name: oldest_unpublished
SELECT coalesce(extract(epoch FROM now() - least(
    (SELECT min(stored_at) FROM batch_outbox), -- of a partition it has a row or two
    (SELECT stored_at FROM outbox ORDER BY id LIMIT 1)
)), 0)

-- name: unpublished
SELECT 'batches', (SELECT count(*) FROM (SELECT FROM batch_outbox LIMIT $1) AS counted)
UNION ALL SELECT 'events', (SELECT count(*) FROM (SELECT FROM outbox LIMIT $1) AS counted)
UNION ALL SELECT 'contacts', (SELECT count(*) FROM (SELECT FROM unpublished_contacts LIMIT $1) AS counted)
UNION ALL SELECT 'counts', (SELECT count(*) FROM (SELECT FROM unpublished_cycles LIMIT $1) AS counted)

-- name: unread
-- Not told where nobody has read the ends for a minute.
SELECT e.topic, sum(greatest(e.end_offset - coalesce(p.next_offset, 0), 0))::bigint
FROM input_ends e LEFT JOIN progress p USING (topic, partition)
GROUP BY e.topic HAVING min(e.read_at) > now() - interval '1 minute'

-- name: unheld
SELECT e.topic, count(*) FILTER (WHERE p.working IS NOT TRUE)
FROM input_ends e LEFT JOIN sluice.partitions p USING (topic, partition)
GROUP BY e.topic

-- name: holds
SELECT count(*) FROM (SELECT FROM sends WHERE status = 'held' ORDER BY expires_at LIMIT $1) AS counted

-- name: oldest_hold
-- The oldest of each workspace, workspace by workspace.
WITH RECURSIVE oldest AS (
    (SELECT workspace_id, held_at FROM sends WHERE status = 'held' ORDER BY workspace_id, held_at LIMIT 1)
    UNION ALL
    SELECT following.* FROM oldest CROSS JOIN LATERAL (
        SELECT s.workspace_id, s.held_at FROM sends s WHERE s.status = 'held' AND s.workspace_id > oldest.workspace_id
        ORDER BY s.workspace_id, s.held_at LIMIT 1
    ) AS following
)
SELECT coalesce(extract(epoch FROM now() - min(held_at)), 0) FROM (SELECT held_at FROM oldest LIMIT $1) AS counted

-- name: ambiguous
SELECT count(*) FROM (SELECT FROM sends WHERE status = 'ambiguous' ORDER BY updated_at LIMIT $1) AS counted

-- name: parked
SELECT count(*) FROM (SELECT FROM parked_receipts LIMIT $1) AS counted

-- name: quarantine
-- Beyond the bound what the server believes since it analyzed the table last.
SELECT CASE WHEN counted < $1 THEN counted ELSE greatest(counted, (
    SELECT reltuples::bigint FROM pg_class WHERE oid = 'sluice_core.messages_erasable'::regclass
)) END
FROM (SELECT count(*) AS counted FROM (SELECT FROM messages WHERE erase_at IS NOT NULL ORDER BY erase_at LIMIT $1) AS counted) AS counted

-- name: new_letters
SELECT source_topic, coalesce(
        substring(error FROM '^(too_costly|too_large|too_many_channels|batch): '),
        substring(error FROM 'at `\$\.([a-z_]+)'),
        substring(error FROM 'missing required field `([a-z_]+)`'),
        CASE WHEN error LIKE 'JSON is malformed%' THEN 'malformed' END,
        'other'
    ) AS reason, count(*), extract(epoch FROM now() - min(first_seen))
FROM (SELECT source_topic, error, first_seen FROM dead_letters WHERE status = 'new' ORDER BY id LIMIT $1) AS oldest
GROUP BY 1, 2 ORDER BY 3 DESC, 1, 2

-- name: pending_work
SELECT kind, count(*), extract(epoch FROM now() - min(asked_at))
FROM (SELECT kind, asked_at FROM pending_work LIMIT $1) AS counted GROUP BY kind

-- name: verified
SELECT differences, workspaces_that_differ, extract(epoch FROM coalesce(ended_at, (SELECT min(verified_at) FROM sluice.verifications)))
FROM sluice.verification_round
