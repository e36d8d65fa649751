-- The group prefix that a database is bound to: that of the partitions with an applied record. The name of a consumer group is
-- its prefix, a hyphen, and its worker's name, which has no hyphen.

-- name: lock
SELECT pg_advisory_xact_lock(hashtext('sluice.groups'))

-- name: is_bound
-- Whether a record of another partition than these is applied, whosever it is.
SELECT EXISTS (
    SELECT FROM progress p WHERE p.next_offset IS NOT NULL
    AND NOT EXISTS (SELECT FROM unnest($1::text[], $2::int[]) AS s (topic, partition) WHERE (s.topic, s.partition) = (p.topic, p.partition))
)

-- name: other_binding
SELECT topic, consumer_group FROM progress
WHERE next_offset IS NOT NULL
  AND (regexp_replace(consumer_group, '-[^-]*$', '') <> $1 OR (topic = ANY ($2::text[]) AND consumer_group <> $3))
ORDER BY topic, partition LIMIT 1

-- name: other_prefix_at_work
SELECT p.topic, p.partition, p.consumer_group, p.owner
FROM progress AS p
JOIN unnest($2::text[], $3::int[]) AS s (topic, partition) USING (topic, partition)
JOIN pg_stat_activity AS a ON a.pid = p.backend_pid AND a.backend_start = p.backend_start
WHERE regexp_replace(p.consumer_group, '-[^-]*$', '') <> $1
  AND NOT EXISTS (SELECT FROM progress WHERE next_offset IS NOT NULL)
ORDER BY p.topic, p.partition LIMIT 1

-- name: prefixes
SELECT DISTINCT regexp_replace(consumer_group, '-[^-]*$', '') FROM sluice.partition_progress ORDER BY 1

-- name: lock_all
SELECT FROM progress ORDER BY topic, partition FOR UPDATE

-- name: rebind
UPDATE progress SET
    consumer_group = $1 || substring(consumer_group FROM '-[^-]*$'),
    lease = NULL,
    owner = NULL,
    backend_pid = NULL,
    backend_start = NULL
WHERE consumer_group <> $1 || substring(consumer_group FROM '-[^-]*$')
