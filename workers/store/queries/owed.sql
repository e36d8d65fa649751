-- The batch outbox.

-- name: of_source
SELECT next_offset, outputs FROM owed WHERE topic = $1 AND partition = $2 ORDER BY next_offset

-- name: owe
WITH published AS (
    DELETE FROM owed AS o
    USING unnest($7::text[], $8::int[], $9::bigint[]) AS s (topic, partition, next_offset)
    JOIN progress AS p USING (topic, partition)
    WHERE o.topic = s.topic AND o.partition = s.partition AND o.next_offset = s.next_offset AND p.lease = $6
)
INSERT INTO owed (topic, partition, next_offset, outputs, shared)
SELECT * FROM unnest($1::text[], $2::int[], $3::bigint[], $4::bytea[], $5::bytea[])

-- name: settle
DELETE FROM owed AS o
USING unnest($2::text[], $3::int[], $4::bigint[]) AS s (topic, partition, next_offset)
JOIN progress AS p USING (topic, partition)
WHERE o.topic = s.topic AND o.partition = s.partition AND o.next_offset = s.next_offset AND p.lease = $1

-- name: forget
DELETE FROM owed WHERE topic = $1 AND partition = $2

-- name: all_sources
SELECT DISTINCT topic, partition FROM owed ORDER BY topic, partition
