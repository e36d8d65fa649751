-- name: partitions
SELECT topic, partition, consumer_group, owner, next_offset, updated_at, working FROM sluice.partitions
WHERE (topic, partition) > (coalesce($1::text, ''), coalesce($2::bigint, -1)) ORDER BY topic, partition LIMIT $3

-- name: workers
SELECT host, pid, version, since, workers, partitions, jobs FROM sluice.workers ORDER BY host, pid LIMIT $1

-- name: lags
-- How far the partitions are behind the ends that the worker `billing` reads every few seconds. `lag_s`: at most, by the newest record
-- that is applied.
SELECT topic, partition, greatest(0, end_offset - coalesce(next_offset, 0)) AS lag,
    CASE WHEN coalesce(next_offset, 0) >= end_offset THEN 0
         ELSE greatest(0, extract(epoch FROM clock_timestamp() - applied_until)) END::float8 AS lag_s
FROM sluice.partitions
WHERE end_offset IS NOT NULL AND (topic, partition) IN (SELECT * FROM unnest($1::text[], $2::int[]))

-- name: dead_letters
SELECT id, source_topic, source_partition, source_offset, error, first_seen, attempts, status, content
FROM sluice.dead_letter_list
WHERE ($1::text IS NULL OR source_topic = $1) AND ($2::text IS NULL OR status = $2)
    AND ($3::text IS NULL OR strpos(lower(error), lower($3)) > 0) AND id < coalesce($4::bigint, 9223372036854775807)
ORDER BY id DESC LIMIT $5

-- name: dead_letter
SELECT * FROM sluice.dead_letter($1)

-- name: letters
SELECT status, count(*) AS letters, max(first_seen) AS newest FROM sluice.dead_letters GROUP BY status ORDER BY status

-- name: backlog
-- Of the view's `holds` at most one more than MOST_HOLDS: to count them all takes seconds where there are very many.
SELECT unpublished_batches, unpublished_events, contacts_to_publish, counts_to_publish, pending_work, parked_receipts,
    (SELECT count(*) FROM (SELECT FROM sluice.held_sends LIMIT $1) AS h) AS holds
FROM sluice.backlog

-- name: pending_work
SELECT workspace_id, kind, subject, done, total, asked_at FROM sluice.pending_work ORDER BY asked_at LIMIT $1

-- name: closing_delays
SELECT * FROM sluice.closing_delays ORDER BY since, topic, partition LIMIT $1

-- name: verification_round
SELECT * FROM sluice.verification_round
