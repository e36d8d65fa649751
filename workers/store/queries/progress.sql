-- Who applies which partition, and how far it got.

-- name: wait_a_second
SET LOCAL lock_timeout = '1s'

-- name: forget_plans
DISCARD PLANS

-- name: take
INSERT INTO progress AS p
    (topic, partition, consumer_group, lease, owner, generation, backend_pid, backend_start)
VALUES (
    $1, $2, $3, $4, $5, $6, pg_backend_pid(),
    (SELECT backend_start FROM pg_stat_activity WHERE pid = pg_backend_pid())
)
ON CONFLICT (topic, partition) DO UPDATE SET
    lease = excluded.lease,
    owner = excluded.owner,
    generation = excluded.generation,
    backend_pid = excluded.backend_pid,
    backend_start = excluded.backend_start
WHERE p.consumer_group = excluded.consumer_group
  -- Generations start again when Kafka forgets the group: an older one is refused only while the newer owner lives.
  AND (p.generation <= excluded.generation
       OR p.lease IS NULL
       OR NOT EXISTS (SELECT FROM pg_stat_activity AS a
                      WHERE a.pid = p.backend_pid AND a.backend_start = p.backend_start))
RETURNING next_offset, last_timestamp, last_crc

-- name: group_of
SELECT consumer_group FROM progress WHERE topic = $1 AND partition = $2

-- name: foreign_groups
SELECT DISTINCT topic, consumer_group FROM progress
WHERE topic = ANY ($1::text[]) AND consumer_group <> $2
ORDER BY topic, consumer_group

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
    FROM unnest($2::text[], $3::int[], $4::bigint[], $5::bigint[], $6::bigint[], $7::bigint[])
        AS s (topic, partition, first, next, last_timestamp, last_crc)
), mine AS MATERIALIZED (
    SELECT p.topic, p.partition
    FROM progress AS p
    JOIN step AS s USING (topic, partition)
    WHERE p.lease = $1 AND p.next_offset IS NOT DISTINCT FROM s.first
    ORDER BY p.topic, p.partition
    FOR UPDATE OF p
)
UPDATE progress AS p SET
    next_offset = s.next,
    last_timestamp = s.last_timestamp,
    last_crc = s.last_crc,
    updated_at = now()
FROM step AS s JOIN mine USING (topic, partition)
WHERE p.topic = s.topic AND p.partition = s.partition
  AND p.lease = $1 AND p.next_offset IS NOT DISTINCT FROM s.first
RETURNING now()

-- name: standing
SELECT topic, partition, next_offset, lease IS NOT DISTINCT FROM $1 AS mine
FROM progress
JOIN unnest($2::text[], $3::int[]) AS s (topic, partition) USING (topic, partition)
ORDER BY topic, partition

-- name: release
UPDATE progress SET lease = NULL, owner = NULL, backend_pid = NULL, backend_start = NULL WHERE lease = $1

-- name: recent_bad
SELECT source_offset FROM dead_letters
WHERE source_topic = $1 AND source_partition = $2 AND source_offset >= $3 AND source_offset < $4
  AND status <> 'dismissed'
ORDER BY source_offset

-- name: sources
SELECT topic, partition, next_offset FROM progress ORDER BY topic, partition

-- name: list
SELECT topic, partition, next_offset, owner, lease IS NOT NULL AND EXISTS (
    SELECT FROM pg_stat_activity AS a WHERE a.pid = p.backend_pid AND a.backend_start = p.backend_start
) AS working, updated_at
FROM progress AS p ORDER BY topic, partition

-- name: place
UPDATE progress AS p SET
    next_offset = s.next,
    last_timestamp = NULL,
    last_crc = NULL,
    lease = NULL,
    owner = NULL,
    backend_pid = NULL,
    backend_start = NULL,
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
