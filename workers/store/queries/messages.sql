-- name: look_up
SELECT generation, message_id, content_digest FROM look_up_messages($1::uuid[])

-- name: echoes
SELECT m.message_id, m.identity_id, m.event_time, m.content_digest
FROM unnest($1::uuid[]) AS wanted (message_id) CROSS JOIN generations g
JOIN messages m ON m.generation = g.generation AND m.message_id = wanted.message_id
WHERE m.kind = 'echo' AND m.drop_reason IS NULL

-- name: owners
SELECT m.message_id, i.identity_id, i.contact_id, i.address, i.connected_at, i.opted_out
FROM unnest($1::uuid[]) AS wanted (message_id) CROSS JOIN generations g
JOIN messages m ON m.generation = g.generation AND m.message_id = wanted.message_id
JOIN identities i ON i.workspace_id = m.workspace_id AND i.identity_id = m.identity_id

-- name: remove
DELETE FROM messages m USING unnest($1::uuid[]) AS old (message_id), generations g
WHERE m.generation = g.generation AND m.message_id = old.message_id

-- name: count_conflicts
INSERT INTO message_conflicts (workspace_id, message_id, times, last_at)
SELECT workspace_id, message_id, times, $4 FROM unnest($1::text[], $2::uuid[], $3::bigint[])
    AS new (workspace_id, message_id, times)
ORDER BY workspace_id, message_id
ON CONFLICT (workspace_id, message_id) DO UPDATE
SET times = message_conflicts.times + excluded.times, last_at = excluded.last_at

-- name: latest_of_sender
-- The newest accepted message of each contact with a value of the attribute (name, language or avatar_url), not older than $4;
-- null: there is none. Generations with only older ones are skipped. Of a generation the query reads the newest $5: no row if those
-- have no value and there may be more.
SELECT wanted.workspace_id, wanted.contact_id, wanted.attribute, newest.said
FROM unnest($1::text[], $2::uuid[], $3::text[], $4::timestamptz[]) AS wanted (workspace_id, contact_id, attribute, since)
CROSS JOIN LATERAL (
    SELECT (array_agg(own.said ORDER BY own.event_time DESC, own.message_id DESC) FILTER (WHERE own.said IS NOT NULL))[1] AS said,
        coalesce(bool_or(own.said IS NULL), false) AS more
    FROM identities i
    CROSS JOIN generations g
    CROSS JOIN LATERAL (
        SELECT m.* FROM (
            SELECT m.body -> 'sender' ->> wanted.attribute AS said, m.event_time, m.message_id,
                row_number() OVER (ORDER BY m.event_time DESC, m.message_id DESC) AS number
            FROM messages m
            WHERE m.generation = g.generation AND m.workspace_id = i.workspace_id AND m.identity_id = i.identity_id
                AND m.drop_reason IS NULL AND m.event_time >= wanted.since
            ORDER BY m.event_time DESC, m.message_id DESC LIMIT $5
        ) AS m
        WHERE m.said IS NOT NULL OR m.number = $5 ORDER BY m.event_time DESC, m.message_id DESC LIMIT 1
    ) AS own
    WHERE i.workspace_id = wanted.workspace_id AND i.contact_id = wanted.contact_id AND g.last_event >= wanted.since
) AS newest
WHERE NOT newest.more

-- name: opening_messages
-- The newest accepted message of each contact that is later than its last closing: it shows that the conversation is open. Of a
-- generation the query reads the newest $4: null if none of them opens it and there may be more.
SELECT wanted.workspace_id, wanted.contact_id, CASE WHEN NOT newest.more THEN newest.event_time END AS event_time
FROM unnest($1::text[], $2::uuid[], $3::timestamptz[]) AS wanted (workspace_id, contact_id, closed_at)
CROSS JOIN LATERAL (
    SELECT max(own.event_time) AS event_time, coalesce(bool_or(own.kind <> 'message'), false) AS more
    FROM identities i
    CROSS JOIN generations g
    CROSS JOIN LATERAL (
        SELECT m.* FROM (
            SELECT m.event_time, m.kind, row_number() OVER (ORDER BY m.event_time DESC) AS number FROM messages m
            WHERE m.generation = g.generation AND m.workspace_id = i.workspace_id AND m.identity_id = i.identity_id
                AND m.drop_reason IS NULL AND m.event_time > coalesce(wanted.closed_at, '-infinity')
            ORDER BY m.event_time DESC LIMIT $4
        ) AS m
        WHERE m.kind = 'message' OR m.number = $4 ORDER BY m.event_time DESC LIMIT 1
    ) AS own
    WHERE i.workspace_id = wanted.workspace_id AND i.contact_id = wanted.contact_id
        AND g.last_event > coalesce(wanted.closed_at, '-infinity')
) AS newest
WHERE newest.event_time IS NOT NULL

-- name: stale
-- Messages whose block_start differs from the history of the contact that judges them, $5 at most and with at most $6 of content, but at least one. Each
-- half of the table has an index of its own, and only its first entries are read.
WITH wanted AS (
    SELECT wanted.workspace_id, wanted.contact_id AS home_id, i.contact_id, wanted.since, coalesce(wanted.until, 'infinity') AS until,
        c.blocks, c.blocks_since, i.identity_id, i.address
    FROM unnest($1::text[], $2::uuid[], $3::timestamptz[], $4::timestamptz[]) AS wanted (workspace_id, contact_id, since, until)
    JOIN contacts c USING (workspace_id, contact_id)
    CROSS JOIN LATERAL (
        SELECT i.contact_id, i.identity_id, i.address FROM identities i
        WHERE i.workspace_id = wanted.workspace_id AND i.contact_id = wanted.contact_id AND i.home_id IS NULL
        UNION ALL
        SELECT i.contact_id, i.identity_id, i.address FROM identities i
        WHERE i.workspace_id = wanted.workspace_id AND i.home_id = wanted.contact_id
    ) AS i
), found AS (
    SELECT wanted.workspace_id, wanted.home_id, wanted.contact_id, wanted.address, m.* FROM wanted
    JOIN generations g ON g.last_event >= wanted.since
    CROSS JOIN LATERAL (
            (SELECT m.generation, m.message_id, m.channel_id, m.channel, m.kind, m.event_time, m.drop_reason, m.block_start, m.released,
                m.counted, m.revision, m.body::text AS body, m.recorded_at, m.release_recorded_at
            FROM messages m
            WHERE m.generation = g.generation AND m.workspace_id = wanted.workspace_id AND m.identity_id = wanted.identity_id
                AND m.event_time >= wanted.since AND m.event_time < wanted.until AND m.drop_reason IS NULL
                AND m.kind NOT IN ('send', 'broadcast')
                AND m.block_start IS DISTINCT FROM lower(CASE
                    WHEN m.event_time < wanted.blocks_since THEN older_block(m.workspace_id, wanted.home_id, m.event_time)
                    ELSE (SELECT b FROM unnest(wanted.blocks) AS b WHERE m.event_time <@ b)
                END)
            ORDER BY m.event_time LIMIT $5)
        UNION ALL
            (SELECT m.generation, m.message_id, m.channel_id, m.channel, m.kind, m.event_time, m.drop_reason, m.block_start, m.released,
                m.counted, m.revision, m.body::text AS body, m.recorded_at, m.release_recorded_at
            FROM messages m
            WHERE m.generation = g.generation AND m.workspace_id = wanted.workspace_id AND m.identity_id = wanted.identity_id
                AND m.event_time >= wanted.since AND m.event_time < wanted.until AND m.drop_reason IS NOT NULL
                AND m.kind NOT IN ('send', 'broadcast')
                AND m.block_start IS DISTINCT FROM lower(CASE
                    WHEN m.event_time < wanted.blocks_since THEN older_block(m.workspace_id, wanted.home_id, m.event_time)
                    ELSE (SELECT b FROM unnest(wanted.blocks) AS b WHERE m.event_time <@ b)
                END)
            ORDER BY m.event_time LIMIT $5)
    ) AS m
), first AS (
    SELECT *, count(*) OVER () AS found, sum(coalesce(octet_length(body), 0)) OVER first - coalesce(octet_length(body), 0) AS before
    FROM found WINDOW first AS (ORDER BY workspace_id, home_id, event_time, message_id)
    ORDER BY workspace_id, home_id, event_time, message_id LIMIT $5
)
SELECT * FROM first WHERE before < $6::bigint ORDER BY workspace_id, home_id, event_time, message_id

-- name: count_flips
SELECT wanted.workspace_id, wanted.contact_id, count(*) AS flips
FROM unnest($1::text[], $2::uuid[], $3::timestamptz[], $4::timestamptz[]) AS wanted (workspace_id, contact_id, since, until)
JOIN contacts c USING (workspace_id, contact_id)
CROSS JOIN LATERAL (
    SELECT i.contact_id, i.identity_id, i.address FROM identities i
    WHERE i.workspace_id = wanted.workspace_id AND i.contact_id = wanted.contact_id AND i.home_id IS NULL
    UNION ALL
    SELECT i.contact_id, i.identity_id, i.address FROM identities i
    WHERE i.workspace_id = wanted.workspace_id AND i.home_id = wanted.contact_id
) AS i
JOIN generations g ON g.last_event >= wanted.since
CROSS JOIN LATERAL (
    SELECT m.event_time, m.drop_reason FROM messages m
    WHERE m.generation = g.generation AND m.workspace_id = wanted.workspace_id AND m.identity_id = i.identity_id
        AND m.event_time >= wanted.since AND m.event_time < coalesce(wanted.until, 'infinity') AND m.drop_reason IS NULL
        AND NOT m.released AND m.kind IN ('message', 'reaction')
    UNION ALL
    SELECT m.event_time, m.drop_reason FROM messages m
    WHERE m.generation = g.generation AND m.workspace_id = wanted.workspace_id AND m.identity_id = i.identity_id
        AND m.event_time >= wanted.since AND m.event_time < coalesce(wanted.until, 'infinity') AND m.drop_reason IS NOT NULL
        AND m.body IS NOT NULL
) AS m
WHERE (m.drop_reason IS NULL) = CASE
    WHEN m.event_time < c.blocks_since THEN older_block(wanted.workspace_id, wanted.contact_id, m.event_time) IS NOT NULL
    ELSE m.event_time <@ ANY (c.blocks)
END
GROUP BY wanted.workspace_id, wanted.contact_id

-- name: count_changed
-- As `count_flips`, but against the history $5 instead of what is stored; $6 is the new one. They are complete between $3 and $4.
SELECT wanted.workspace_id, wanted.contact_id, count(*) AS flips
FROM unnest($1::text[], $2::uuid[], $3::timestamptz[], $4::timestamptz[], $5::text[], $6::text[])
    AS wanted (workspace_id, contact_id, since, until, before, after)
CROSS JOIN LATERAL (
    SELECT i.contact_id, i.identity_id, i.address FROM identities i
    WHERE i.workspace_id = wanted.workspace_id AND i.contact_id = wanted.contact_id AND i.home_id IS NULL
    UNION ALL
    SELECT i.contact_id, i.identity_id, i.address FROM identities i
    WHERE i.workspace_id = wanted.workspace_id AND i.home_id = wanted.contact_id
) AS i
JOIN generations g ON g.last_event >= wanted.since
CROSS JOIN LATERAL (
    SELECT m.event_time, m.drop_reason FROM messages m
    WHERE m.generation = g.generation AND m.workspace_id = wanted.workspace_id AND m.identity_id = i.identity_id
        AND m.event_time >= wanted.since AND m.event_time < coalesce(wanted.until, 'infinity') AND m.drop_reason IS NULL
        AND NOT m.released AND m.kind IN ('message', 'reaction')
    UNION ALL
    SELECT m.event_time, m.drop_reason FROM messages m
    WHERE m.generation = g.generation AND m.workspace_id = wanted.workspace_id AND m.identity_id = i.identity_id
        AND m.event_time >= wanted.since AND m.event_time < coalesce(wanted.until, 'infinity') AND m.drop_reason IS NOT NULL
        AND m.body IS NOT NULL
) AS m
WHERE (m.event_time <@ ANY (wanted.before::tstzrange[])) <> (m.event_time <@ ANY (wanted.after::tstzrange[]))
GROUP BY wanted.workspace_id, wanted.contact_id

-- name: revise
WITH revised AS (
    UPDATE messages m SET drop_reason = new.drop_reason, mac_rule = new.mac_rule, block_start = new.block_start,
        counted = new.counted, released = new.released, revision = new.revision, release_recorded_at = new.release_recorded_at,
        decided_at = CASE WHEN new.revision = m.revision THEN m.decided_at ELSE $12 END,
        erase_at = CASE WHEN new.revision = m.revision THEN m.erase_at ELSE new.erase_at END,
        body = CASE WHEN new.erase_at <= $12 THEN NULL ELSE m.body END
    FROM (SELECT * FROM unnest($1::int[], $2::text[], $3::uuid[], $4::text[], $5::text[], $6::timestamptz[], $7::boolean[],
            $8::boolean[], $9::int[], $10::timestamptz[], $11::timestamptz[])
        AS new (generation, workspace_id, message_id, drop_reason, mac_rule, block_start, counted, released, revision, erase_at,
            release_recorded_at)
        ORDER BY workspace_id, message_id) AS new
    WHERE m.generation = new.generation AND m.workspace_id = new.workspace_id AND m.message_id = new.message_id
    RETURNING m.workspace_id, m.identity_id
)
INSERT INTO inbox_news (workspace_id, identity_ids)
SELECT workspace_id, array_agg(DISTINCT identity_id) FROM revised GROUP BY workspace_id

-- name: releasable
-- Dropped messages with content, by event time or by id, $11 at most and with at most $12 of content, but at least one: those that
-- are not released ($10 null), or that the work of this number releases.
WITH found AS (
    SELECT wanted.position, r.* FROM unnest($1::bigint[], $2::text[], $3::uuid[], $4::timestamptz[], $5::timestamptz[])
        AS wanted (position, workspace_id, contact_id, since, until)
    JOIN identities i USING (workspace_id, contact_id)
    CROSS JOIN generations g
    CROSS JOIN LATERAL (
        SELECT r.* FROM releasable r
        WHERE r.generation = g.generation AND r.workspace_id = i.workspace_id AND r.identity_id = i.identity_id
            AND r.event_time >= wanted.since AND r.event_time < wanted.until AND r.released_by IS NOT DISTINCT FROM $10::bigint
        ORDER BY r.event_time LIMIT $11
    ) AS r
    UNION ALL
    SELECT picked.position, r.* FROM unnest($6::bigint[], $7::text[], $8::uuid[], $9::uuid[])
        AS picked (position, workspace_id, contact_id, message_id)
    CROSS JOIN generations g
    JOIN releasable r ON r.generation = g.generation AND r.workspace_id = picked.workspace_id AND r.message_id = picked.message_id
        AND r.contact_id = picked.contact_id
    WHERE r.released_by IS NOT DISTINCT FROM $10::bigint
), first AS (
    SELECT *, count(*) OVER () AS found, sum(octet_length(body::text)) OVER first - octet_length(body::text) AS before
    FROM found WINDOW first AS (ORDER BY position, event_time, message_id)
    ORDER BY position, event_time, message_id LIMIT $11
)
SELECT position, found, generation, workspace_id, contact_id, home_id, address, message_id, channel_id, channel, kind, event_time, drop_reason,
    block_start, released, counted, revision, body::text AS body, recorded_at, release_recorded_at
FROM first WHERE before < $12::bigint ORDER BY position, event_time, message_id

-- name: count_releasable
SELECT found.position, count(*) FROM (
    SELECT wanted.position FROM unnest($1::bigint[], $2::text[], $3::uuid[], $4::timestamptz[], $5::timestamptz[])
        AS wanted (position, workspace_id, contact_id, since, until)
    JOIN identities i USING (workspace_id, contact_id)
    CROSS JOIN generations g
    JOIN releasable r ON r.generation = g.generation AND r.workspace_id = i.workspace_id AND r.identity_id = i.identity_id
        AND r.event_time >= wanted.since AND r.event_time < wanted.until
    WHERE r.released_by IS NULL
    UNION ALL
    SELECT picked.position FROM unnest($6::bigint[], $7::text[], $8::uuid[], $9::uuid[])
        AS picked (position, workspace_id, contact_id, message_id)
    CROSS JOIN generations g
    JOIN releasable r ON r.generation = g.generation AND r.workspace_id = picked.workspace_id AND r.message_id = picked.message_id
        AND r.contact_id = picked.contact_id
    WHERE r.released_by IS NULL
) AS found
GROUP BY found.position

-- name: erase
-- A released message keeps its content until its step runs.
UPDATE messages SET body = NULL, erase_at = NULL
WHERE (generation, message_id) IN (
    SELECT m.generation, m.message_id FROM messages m
    WHERE m.erase_at <= $1 AND NOT EXISTS (
        SELECT FROM releasable r
        WHERE r.generation = m.generation AND r.workspace_id = m.workspace_id AND r.message_id = m.message_id
            AND r.released_by IS NOT NULL OFFSET 0
    )
    ORDER BY m.erase_at LIMIT $2 FOR UPDATE OF m SKIP LOCKED
)
