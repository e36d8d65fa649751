-- Records that could not be understood.

-- name: record
INSERT INTO dead_letters (source_topic, source_partition, source_offset, error, key, value, headers)
SELECT * FROM unnest($1::text[], $2::int[], $3::bigint[], $4::text[], $5::bytea[], $6::bytea[], $7::bytea[])
ORDER BY 1, 2, 3
ON CONFLICT (source_topic, source_partition, source_offset) DO UPDATE SET
    attempts = dead_letters.attempts + 1,
    error = excluded.error,
    status = 'new'

-- name: failed_again
UPDATE dead_letters SET attempts = attempts + 1, error = s.error, status = 'new'
FROM unnest($1::bigint[], $2::text[]) AS s (id, error)
WHERE dead_letters.id = s.id
RETURNING dead_letters.id

-- name: list
SELECT id, source_topic, source_partition, source_offset, error, first_seen, attempts, status,
    CASE WHEN erased_at IS NOT NULL THEN 'erased' WHEN value IS NULL THEN 'not kept' ELSE 'kept' END AS content
FROM dead_letters
WHERE ($1::text IS NULL OR status = $1)
  AND ($2::text IS NULL OR strpos(lower(error), lower($2)) > 0)
  AND ($3::text IS NULL OR source_topic = $3)
  AND ($4::timestamptz IS NULL OR first_seen >= $4)
ORDER BY id LIMIT $5

-- name: read
SELECT id, source_topic, source_partition, source_offset, error, first_seen, attempts, status, key, value, headers,
    erased_at
FROM dead_letters WHERE id = $1

-- name: lock
SELECT id FROM dead_letters WHERE id = $1 FOR UPDATE

-- name: mark
UPDATE dead_letters SET status = $2 WHERE id = $1

-- name: detach
UPDATE dead_letters SET source_offset = -id
WHERE source_offset >= 0 AND (source_topic, source_partition) IN (SELECT * FROM unnest($1::text[], $2::int[]))

-- name: erase
UPDATE dead_letters SET key = NULL, value = NULL, headers = NULL, erased_at = now()
WHERE id IN (SELECT id FROM dead_letters
             WHERE erased_at IS NULL AND first_seen < now() - make_interval(days => $1::int)
             ORDER BY id LIMIT $2 FOR UPDATE SKIP LOCKED)
