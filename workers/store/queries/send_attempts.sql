-- Workers read and write attempts as one JSON text; parked receipts are the original bytes.

-- name: of_sends
SELECT a.* FROM unnest($1::text[], $2::uuid[]) AS wanted (workspace_id, send_id)
JOIN send_attempts a USING (workspace_id, send_id)

-- name: by_provider_id
SELECT wanted.position, a.send_id, a.attempt
FROM unnest($1::text::text[], $2::text::text[], $3::text::text[]) WITH ORDINALITY
    AS wanted (workspace_id, channel_id, provider_message_id, position)
JOIN send_attempts a USING (workspace_id, channel_id, provider_message_id)

-- name: save
INSERT INTO send_attempts SELECT * FROM json_populate_recordset(NULL::send_attempts, $1::json)
ORDER BY workspace_id, send_id, attempt
ON CONFLICT (workspace_id, send_id, attempt) DO UPDATE SET status = excluded.status, status_at = excluded.status_at,
    permanent = excluded.permanent, error_code = excluded.error_code, provider_message_id = excluded.provider_message_id,
    ran_out_at = excluded.ran_out_at, error_message = excluded.error_message, not_before = excluded.not_before

-- name: park
INSERT INTO parked_receipts (workspace_id, topic, partition, "offset", send_id, channel_id, provider_message_id, attempt,
    key, value, headers, record_at, parked_at, recorded_at)
SELECT * FROM unnest($1::text[], $2::text[], $3::int[], $4::bigint[], $5::uuid[], $6::text[], $7::text[], $8::int[],
    $9::bytea[], $10::bytea[], $11::bytea[], $12::timestamptz[], $13::timestamptz[], $14::timestamptz[]) AS p (workspace_id, topic, partition, "offset")
ORDER BY workspace_id, topic, partition, "offset"
ON CONFLICT DO NOTHING

-- name: unpark
-- The parked receipts for these sends or provider ids whose attempt exists now, $6 at most.
DELETE FROM parked_receipts p WHERE (workspace_id, topic, partition, "offset") IN (
    SELECT workspace_id, topic, partition, "offset" FROM (
        SELECT p.workspace_id, p.topic, p.partition, p."offset", p.record_at
        FROM unnest($1::text[], $2::uuid[]) AS wanted (workspace_id, send_id)
        JOIN parked_receipts p USING (workspace_id, send_id)
        JOIN send_attempts a USING (workspace_id, send_id)
        WHERE p.attempt IS NULL OR p.attempt = a.attempt
        UNION
        SELECT p.workspace_id, p.topic, p.partition, p."offset", p.record_at
        FROM unnest($3::text::text[], $4::text::text[], $5::text::text[]) AS wanted (workspace_id, channel_id, provider_message_id)
        JOIN parked_receipts p USING (workspace_id, channel_id, provider_message_id)
        JOIN send_attempts a USING (workspace_id, channel_id, provider_message_id)
        WHERE p.send_id IS NULL
    ) AS found
    ORDER BY record_at, topic, partition, "offset" LIMIT $6
)
RETURNING p.*

-- name: read_parked
-- The next $5 parked receipts after a position, and whether the attempt of each exists.
SELECT p.parked_at, p.topic, p.partition, p."offset", p.workspace_id, EXISTS (
    SELECT FROM send_attempts a WHERE a.workspace_id = p.workspace_id AND a.send_id = p.send_id
        AND (p.attempt IS NULL OR p.attempt = a.attempt)
) OR (p.send_id IS NULL AND EXISTS (
    SELECT FROM send_attempts a WHERE a.workspace_id = p.workspace_id AND a.channel_id = p.channel_id
        AND a.provider_message_id = p.provider_message_id
)) AS found
FROM (
    SELECT parked_at, topic, partition, "offset", workspace_id, send_id, attempt, channel_id, provider_message_id FROM parked_receipts
    WHERE (parked_at, topic, partition, "offset") > ($1, $2, $3, $4)
    ORDER BY parked_at, topic, partition, "offset" LIMIT $5
) AS p
ORDER BY p.parked_at, p.topic, p.partition, p."offset"

-- name: take_parked
DELETE FROM parked_receipts WHERE (workspace_id, topic, partition, "offset") IN (
    SELECT p.workspace_id, p.topic, p.partition, p."offset"
    FROM unnest($1::text[], $2::text[], $3::int[], $4::bigint[]) AS wanted (workspace_id, topic, partition, "offset")
    JOIN parked_receipts p USING (workspace_id, topic, partition, "offset")
    FOR UPDATE OF p SKIP LOCKED
)
RETURNING *

-- name: give_up_parked
DELETE FROM parked_receipts p WHERE (workspace_id, topic, partition, "offset") IN (
    SELECT workspace_id, topic, partition, "offset" FROM parked_receipts
    WHERE parked_at <= $1 ORDER BY parked_at LIMIT $2 FOR UPDATE SKIP LOCKED
)
RETURNING p.*

-- name: detach_parked
-- Offsets start again: a parked receipt must not conflict with a new record at the same offset.
UPDATE parked_receipts SET "offset" = -nextval('repair_revisions') WHERE "offset" >= 0
