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

-- name: read
SELECT id, source_topic, source_partition, source_offset, error, status, key, value, headers, erased_at
FROM dead_letters WHERE id = $1

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
