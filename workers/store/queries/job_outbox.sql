-- The ordinary outbox. Selects all rows that exist, never "id > last": transactions do not commit in the order of ids.

-- name: put
INSERT INTO outbox (topic, key, value, ce_id, workspace_id, time, traceparent, headers)
SELECT topic, key, value, ce_id, workspace_id, time, traceparent, headers
FROM unnest($1::text[], $2::bytea[], $3::bytea[], $4::uuid[], $5::text[], $6::timestamptz[], $7::bytea[], $8::bytea[])
    WITH ORDINALITY AS f (topic, key, value, ce_id, workspace_id, time, traceparent, headers, position)
ORDER BY position

-- name: waiting
-- In the order of an index: PostgreSQL skips its dead entries, but would read dead rows of the table.
SELECT
    ARRAY(
        SELECT shard FROM generate_series(0, 3) AS s (shard)
        WHERE EXISTS (SELECT FROM outbox WHERE outbox.shard = s.shard) ORDER BY shard
    ) AS shards,
    array_remove(ARRAY[
        (SELECT 'contacts.changes' FROM unpublished_contacts ORDER BY workspace_id, contact_id LIMIT 1),
        (SELECT 'billing.mac' FROM unpublished_cycles ORDER BY workspace_id, cycle_start, shard LIMIT 1)
    ], NULL) AS topics

-- name: of_shard
SELECT id, topic, key, value, ce_id, workspace_id, time, traceparent, headers
FROM outbox WHERE shard = $1 ORDER BY id LIMIT $2

-- name: published
DELETE FROM outbox WHERE id = ANY ($1::bigint[])
