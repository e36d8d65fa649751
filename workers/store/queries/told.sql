-- What is owed about keys that several partitions and jobs have facts about.

-- name: marked
SELECT seq, shared FROM owed WHERE shared IS NOT NULL ORDER BY seq

-- name: owed
SELECT seq, topic, partition, outputs FROM owed WHERE seq = ANY ($1::bigint[])

-- name: outbox
SELECT seq, topic, key, value, ce_id, workspace_id, time, traceparent, headers
FROM outbox WHERE key = ANY ($1::bytea[]) AND topic = ANY ($2::text[])
