-- The batch outbox.

-- name: of_source
SELECT next_offset, outputs FROM owed WHERE topic = $1 AND partition = $2 ORDER BY next_offset

-- name: owe
WITH published AS (
    DELETE FROM owed AS o
    USING unnest($5::text[], $6::int[], $7::bigint[]) AS s (topic, partition, next_offset)
    WHERE o.topic = s.topic AND o.partition = s.partition AND o.next_offset = s.next_offset
)
INSERT INTO owed (topic, partition, next_offset, outputs)
SELECT * FROM unnest($1::text[], $2::int[], $3::bigint[], $4::bytea[])

-- name: settle
DELETE FROM owed AS o
USING unnest($1::text[], $2::int[], $3::bigint[]) AS s (topic, partition, next_offset)
WHERE o.topic = s.topic AND o.partition = s.partition AND o.next_offset = s.next_offset

-- name: all_sources
SELECT DISTINCT topic, partition FROM owed ORDER BY topic, partition
