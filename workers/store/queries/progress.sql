-- The owner and the progress of each input partition.

-- name: set_lock_timeout
SET LOCAL lock_timeout = '1s'

-- name: discard_plans
DISCARD PLANS

-- name: take
INSERT INTO progress AS p
    (topic, partition, consumer_group, lease, owner, generation, backend_pid, backend_start, owner_version, owner_since)
VALUES (
    $1, $2, $3, $4, $5, $6, pg_backend_pid(),
    (SELECT backend_start FROM pg_stat_activity WHERE pid = pg_backend_pid()),
    $7, clock_timestamp() - make_interval(secs => $8)
)
ON CONFLICT (topic, partition) DO UPDATE SET
    consumer_group = excluded.consumer_group,
    lease = excluded.lease,
    owner = excluded.owner,
    generation = excluded.generation,
    backend_pid = excluded.backend_pid,
    backend_start = excluded.backend_start,
    owner_version = excluded.owner_version,
    owner_since = excluded.owner_since,
    -- Asked a second time, because the answer was lost, it says the same.
    orphaned = CASE WHEN p.lease = excluded.lease THEN p.orphaned ELSE p.lease IS NOT NULL END
WHERE CASE
    -- A start binds nothing: until a record is applied, any group's workers may take the partition.
    WHEN p.consumer_group <> excluded.consumer_group THEN p.next_offset IS NULL
    -- Generations start again when Kafka forgets the group: an older one is refused only while the newer owner lives.
    ELSE p.generation <= excluded.generation
      OR p.lease IS NULL
      OR NOT EXISTS (SELECT FROM pg_stat_activity AS a
                     WHERE a.pid = p.backend_pid AND a.backend_start = p.backend_start)
END
RETURNING next_offset, coalesce(last_offset, next_offset - 1) AS last_offset, last_timestamp, last_crc,
    orphaned, tried_times, CASE WHEN tried_until > coalesce(next_offset, -1) THEN tried_until END AS tried_until

-- name: end_holder
SELECT pg_terminate_backend(a.pid)
FROM progress AS p
JOIN pg_stat_activity AS a ON a.pid = p.backend_pid AND a.backend_start = p.backend_start
WHERE p.topic = $1 AND p.partition = $2
  AND a.pid <> pg_backend_pid()
  AND a.application_name LIKE 'sluice%'

-- name: adopt
UPDATE progress SET
    backend_pid = pg_backend_pid(),
    backend_start = (SELECT backend_start FROM pg_stat_activity WHERE pid = pg_backend_pid())
WHERE lease = $1

-- name: advance
WITH step AS (
    SELECT *
    FROM unnest($2::text[], $3::int[], $4::bigint[], $5::bigint[], $6::bigint[], $7::bigint[], $8::bigint[], $9::timestamptz[])
        AS s (topic, partition, first, next, last_offset, last_timestamp, last_crc, watermark)
), mine AS MATERIALIZED (
    SELECT p.topic, p.partition, p.watermark
    FROM progress AS p
    JOIN step AS s USING (topic, partition)
    WHERE p.lease = $1 AND p.next_offset IS NOT DISTINCT FROM s.first
    ORDER BY p.topic, p.partition
    FOR UPDATE OF p
)
UPDATE progress AS p SET
    next_offset = s.next,
    -- A step without records leaves the last one as it was, further behind.
    last_offset = nullif(coalesce(s.last_offset, p.last_offset, p.next_offset - 1), s.next - 1),
    last_timestamp = coalesce(s.last_timestamp, p.last_timestamp),
    last_crc = coalesce(s.last_crc, p.last_crc),
    watermark = greatest(s.watermark, p.watermark),
    updated_at = now()
FROM step AS s JOIN mine USING (topic, partition)
WHERE p.topic = s.topic AND p.partition = s.partition
  AND p.lease = $1 AND p.next_offset IS NOT DISTINCT FROM s.first
RETURNING now() AS now, p.topic, p.partition, mine.watermark

-- name: compare
SELECT topic, partition, next_offset, lease IS NOT DISTINCT FROM $1 AS mine
FROM progress
JOIN unnest($2::text[], $3::int[]) AS s (topic, partition) USING (topic, partition)
ORDER BY topic, partition

-- name: save_trial
UPDATE progress SET tried_until = $4, tried_times = $5 WHERE lease = $1 AND topic = $2 AND partition = $3

-- name: rehearse_write
UPDATE progress SET tried_times = tried_times WHERE lease = $1

-- name: rehearse_sort
-- A megabyte or two, and some milliseconds.
SELECT count(*) FROM (SELECT n FROM generate_series(1, 20000) AS s (n) ORDER BY md5(n::text)) AS sorted

-- name: release
UPDATE progress SET
    lease = NULL, owner = NULL, backend_pid = NULL, backend_start = NULL, owner_version = NULL, owner_since = NULL,
    tried_until = NULL, tried_times = 0
WHERE lease = $1

-- name: recent_dead_letters
SELECT source_offset, error FROM dead_letters
WHERE source_topic = $1 AND source_partition = $2 AND source_offset >= $3 AND source_offset < $4
  AND status <> 'dismissed'
ORDER BY source_offset

-- name: sources
SELECT topic, partition, next_offset FROM progress ORDER BY topic, partition

-- name: list
SELECT topic, partition, next_offset, owner, working, updated_at FROM sluice.partitions ORDER BY topic, partition

-- name: set_offsets
UPDATE progress AS p SET
    consumer_group = CASE WHEN p.next_offset IS NULL THEN $5 || substring(p.consumer_group FROM '-[^-]*$')
                          ELSE p.consumer_group END,
    next_offset = s.next,
    -- What is applied again decides anew how far the partition is applied.
    watermark = CASE WHEN s.next >= p.next_offset THEN p.watermark END,
    last_offset = NULL,
    last_timestamp = NULL,
    last_crc = NULL,
    lease = NULL,
    owner = NULL,
    backend_pid = NULL,
    backend_start = NULL,
    owner_version = NULL,
    owner_since = NULL,
    tried_until = NULL,
    tried_times = 0,
    updated_at = now()
FROM unnest($1::text[], $2::int[], $3::bigint[], $4::bigint[]) AS s (topic, partition, known, next)
WHERE p.topic = s.topic AND p.partition = s.partition AND p.next_offset IS NOT DISTINCT FROM s.known
RETURNING p.topic, p.partition

-- name: lock
SELECT topic, partition FROM progress
JOIN unnest($1::text[], $2::int[]) AS s (topic, partition) USING (topic, partition)
ORDER BY topic, partition FOR UPDATE OF progress

-- name: forget
DELETE FROM progress WHERE (topic, partition) IN (SELECT * FROM unnest($1::text[], $2::int[]))
