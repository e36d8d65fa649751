-- name: is_full
-- Smaller than when the generation was opened: the index was rebuilt, so its growth is unknown.
SELECT pg_relation_size('messages_pkey') - began_bytes NOT BETWEEN 0 AND $1::bigint - 1 FROM generations WHERE closed_at IS NULL

-- name: lock_for_opening
-- Transactions that store messages share it (look_up_messages) until they end. If this one does not get the lock it tries again
-- later, because new ones wait behind it meanwhile.
SELECT set_config('lock_timeout', '2s', true), pg_advisory_xact_lock(hashtext('sluice.generations'))

-- name: close
UPDATE generations SET closed_at = now() WHERE closed_at IS NULL

-- name: open
INSERT INTO generations (generation, began_bytes) SELECT max(generation) + 1, pg_relation_size('messages_pkey') FROM generations

-- name: to_seal
SELECT generation FROM generations WHERE closed_at IS NOT NULL AND sealed_at IS NULL
ORDER BY generation LIMIT 1 FOR UPDATE SKIP LOCKED

-- name: seal
-- New fingerprints before the old ones: the WAL of an update leaves out the common end of both versions.
INSERT INTO message_fingerprints AS p (era, bucket, fingerprints)
SELECT $1::int / 32, bucket(message_id) AS bucket, string_agg(substr(uuid_send(message_id), 3, 3), ''::bytea)
FROM messages WHERE generation = $1 GROUP BY 2 ORDER BY 2
ON CONFLICT (era, bucket) DO UPDATE SET fingerprints = excluded.fingerprints || p.fingerprints

-- name: note_sealed
UPDATE generations SET sealed_at = now(), last_event = (
    SELECT coalesce(max(event_time), '-infinity') FROM messages WHERE generation = $1
) WHERE generation = $1
