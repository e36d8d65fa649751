-- Unpublished events about keys that several partitions and jobs write to.

-- name: marked
SELECT seq, shared_keys FROM batch_outbox WHERE shared_keys IS NOT NULL ORDER BY seq

-- name: batch_outbox
SELECT seq, topic, partition, events FROM batch_outbox WHERE seq = ANY ($1::bigint[])

-- name: outbox
SELECT seq, topic, key, value, ce_id, workspace_id, time, traceparent, headers
FROM outbox WHERE key = ANY ($1::bytea[]) AND topic = ANY ($2::text[])
