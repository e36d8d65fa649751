-- The ordinary outbox. Rows are chosen because they are there, never by "id > last": commits come out of sequence.

-- name: put
INSERT INTO outbox (topic, key, value, ce_id, workspace_id, time, traceparent)
SELECT topic, key, value, ce_id, workspace_id, time, traceparent
FROM unnest($1::text[], $2::bytea[], $3::bytea[], $4::uuid[], $5::text[], $6::timestamptz[], $7::bytea[])
    WITH ORDINALITY AS f (topic, key, value, ce_id, workspace_id, time, traceparent, position)
ORDER BY position

-- name: waiting_shards
SELECT shard FROM generate_series(0, 3) AS s (shard)
WHERE EXISTS (SELECT FROM outbox WHERE outbox.shard = s.shard)
ORDER BY shard

-- name: of_shard
SELECT id, topic, key, value, ce_id, workspace_id, time, traceparent
FROM outbox WHERE shard = $1 ORDER BY id LIMIT $2

-- name: published
DELETE FROM outbox WHERE id = ANY ($1::bigint[])
