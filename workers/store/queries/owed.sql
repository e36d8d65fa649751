-- The batch outbox.

-- name: of_source
SELECT next_offset, outputs FROM owed WHERE topic = $1 AND partition = $2 ORDER BY next_offset

-- name: owe
-- What is forgotten is joined by its whole key and to nothing else: beside `progress` it could be looked for by its partition
-- alone, which reads all that was ever owed there and is not vacuumed away yet, for every poll.
WITH held AS MATERIALIZED (
    SELECT s.*
    FROM unnest($7::text[], $8::int[], $9::bigint[]) AS s (topic, partition, next_offset)
    JOIN progress AS p USING (topic, partition)
    WHERE p.lease = $6
), published AS (
    DELETE FROM owed AS o
    USING held AS h
    WHERE o.topic = h.topic AND o.partition = h.partition AND o.next_offset = h.next_offset
)
INSERT INTO owed (topic, partition, next_offset, outputs, shared)
SELECT * FROM unnest($1::text[], $2::int[], $3::bigint[], $4::bytea[], $5::bytea[])

-- name: settle
-- As in `owe`.
WITH held AS MATERIALIZED (
    SELECT s.*
    FROM unnest($2::text[], $3::int[], $4::bigint[]) AS s (topic, partition, next_offset)
    JOIN progress AS p USING (topic, partition)
    WHERE p.lease = $1
)
DELETE FROM owed AS o
USING held AS h
WHERE o.topic = h.topic AND o.partition = h.partition AND o.next_offset = h.next_offset

-- name: forget
DELETE FROM owed WHERE topic = $1 AND partition = $2

-- name: all_sources
SELECT DISTINCT topic, partition FROM owed ORDER BY topic, partition
