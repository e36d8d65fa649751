-- The batch outbox.

-- name: of_source
SELECT next_offset, events FROM batch_outbox WHERE topic = $1 AND partition = $2 ORDER BY next_offset

-- name: store
-- Rows to delete are joined by their whole key and to no other table. Together with `progress` PostgreSQL could search them by
-- their partition alone, which reads all dead rows of the partition that are not vacuumed yet, for every poll.
WITH held AS MATERIALIZED (
    SELECT s.*
    FROM unnest($7::text[], $8::int[], $9::bigint[]) AS s (topic, partition, next_offset)
    JOIN progress AS p USING (topic, partition)
    WHERE p.lease = $6
), published AS (
    DELETE FROM batch_outbox AS o
    USING held AS h
    WHERE o.topic = h.topic AND o.partition = h.partition AND o.next_offset = h.next_offset
)
INSERT INTO batch_outbox (topic, partition, next_offset, events, shared_keys)
SELECT * FROM unnest($1::text[], $2::int[], $3::bigint[], $4::bytea[], $5::bytea[])

-- name: delete_published
-- As in `store`.
WITH held AS MATERIALIZED (
    SELECT s.*
    FROM unnest($2::text[], $3::int[], $4::bigint[]) AS s (topic, partition, next_offset)
    JOIN progress AS p USING (topic, partition)
    WHERE p.lease = $1
)
DELETE FROM batch_outbox AS o
USING held AS h
WHERE o.topic = h.topic AND o.partition = h.partition AND o.next_offset = h.next_offset

-- name: forget
DELETE FROM batch_outbox WHERE topic = $1 AND partition = $2

-- name: all_sources
SELECT DISTINCT topic, partition FROM batch_outbox ORDER BY topic, partition
