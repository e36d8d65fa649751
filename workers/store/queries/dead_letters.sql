-- Dead letters.

-- name: record
INSERT INTO dead_letters (source_topic, source_partition, source_offset, error, key, value, headers, digest)
SELECT *, letter_digest(key, value)
FROM unnest($1::text[], $2::int[], $3::bigint[], $4::text[], $5::bytea[], $6::bytea[], $7::bytea[])
    AS l (topic, partition, "offset", error, key, value, headers)
ORDER BY 1, 2, 3
ON CONFLICT (source_topic, source_partition, source_offset) DO UPDATE SET
    attempts = dead_letters.attempts + 1,
    error = excluded.error,
    status = 'new'

-- name: failed_again
WITH again AS (
    SELECT c.number, c.id, c.error
    FROM unnest($1::bigint[], $2::text[], $3::int[], $4::bytea[], $5::bytea[], $6::text[])
        WITH ORDINALITY AS c (id, topic, partition, key, value, error, number)
    JOIN dead_letters AS d ON d.id = c.id
    WHERE (d.source_topic, d.source_partition, d.digest) = (c.topic, c.partition, letter_digest(c.key, c.value))
), counted AS (
    UPDATE dead_letters AS d SET attempts = d.attempts + a.times, error = a.error, status = 'new'
    FROM (
        SELECT id, count(*) AS times, (array_agg(error ORDER BY number DESC))[1] AS error FROM again GROUP BY id
    ) AS a
    WHERE d.id = a.id
)
SELECT number FROM again

-- name: list
SELECT id, source_topic, source_partition, source_offset, error, first_seen, attempts, status, content
FROM sluice.dead_letter_list
WHERE ($1::text IS NULL OR status = $1)
  AND ($2::text IS NULL OR strpos(lower(error), lower($2)) > 0)
  AND ($3::text IS NULL OR source_topic = $3)
  AND ($4::timestamptz IS NULL OR first_seen >= $4)
ORDER BY id LIMIT $5

-- name: read
SELECT id, source_topic, source_partition, source_offset, error, first_seen, attempts, status, key, value, headers,
    erased_at
FROM sluice.dead_letter($1)

-- name: lock
SELECT id FROM dead_letters WHERE id = $1 FOR UPDATE

-- name: settle
SELECT sluice.dead_letter_settle($1, $2)

-- name: detach
UPDATE dead_letters SET source_offset = -id
WHERE source_offset >= 0 AND (source_topic, source_partition) IN (SELECT * FROM unnest($1::text[], $2::int[]))

-- name: erase
UPDATE dead_letters SET key = NULL, value = NULL, headers = NULL, erased_at = now()
WHERE id IN (SELECT id FROM dead_letters
             WHERE erased_at IS NULL AND first_seen < now() - make_interval(days => $1::int)
             ORDER BY id LIMIT $2 FOR UPDATE SKIP LOCKED)

-- name: remove
-- Ids are in the order of time but for letters that are seen at once, so the oldest rows are looked at, and no others.
DELETE FROM dead_letters WHERE id IN (
    SELECT d.id FROM (SELECT id, first_seen, erased_at, digest FROM dead_letters ORDER BY id LIMIT $2 FOR UPDATE SKIP LOCKED) AS d
    WHERE d.first_seen < now() - make_interval(days => $1::int) AND d.erased_at IS NOT NULL AND d.digest IS NULL
)

-- name: forget
UPDATE dead_letters SET digest = NULL
WHERE id IN (SELECT id FROM dead_letters
             WHERE digest IS NOT NULL AND erased_at < now() - make_interval(days => $1::int)
             ORDER BY erased_at LIMIT $2 FOR UPDATE SKIP LOCKED)
