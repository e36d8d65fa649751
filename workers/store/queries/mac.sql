-- name: proofs
SELECT m.workspace_id, m.cycle_start, m.contact_id, m.first_counted_at, m.first_message_id
FROM unnest($1::text[], $2::timestamptz[], $3::uuid[]) AS wanted (workspace_id, cycle_start, contact_id)
JOIN mac_contacts m USING (workspace_id, cycle_start, contact_id)

-- name: save_better_proofs
-- Proofs earlier than what is stored; returns those of contacts that had none. What is no better is left out before the
-- INSERT, which would lock the row even where its own WHERE then says no.
WITH saved AS (
    INSERT INTO mac_contacts (workspace_id, cycle_start, contact_id, first_counted_at, first_message_id)
    SELECT new.* FROM unnest($1::text[], $2::timestamptz[], $3::uuid[], $4::timestamptz[], $5::uuid[])
        AS new (workspace_id, cycle_start, contact_id, first_counted_at, first_message_id)
    LEFT JOIN mac_contacts known USING (workspace_id, cycle_start, contact_id)
    WHERE known.contact_id IS NULL
        OR (new.first_counted_at, new.first_message_id) < (known.first_counted_at, known.first_message_id)
    ORDER BY new.workspace_id, new.cycle_start, new.contact_id
    ON CONFLICT (workspace_id, cycle_start, contact_id) DO UPDATE
    SET first_counted_at = excluded.first_counted_at, first_message_id = excluded.first_message_id
    WHERE (excluded.first_counted_at, excluded.first_message_id)
        < (mac_contacts.first_counted_at, mac_contacts.first_message_id)
    RETURNING workspace_id, cycle_start, contact_id, (xmax = 0) AS added
)
SELECT workspace_id, cycle_start, contact_id FROM saved WHERE added

-- name: replace_proofs
INSERT INTO mac_contacts (workspace_id, cycle_start, contact_id, first_counted_at, first_message_id)
SELECT * FROM unnest($1::text[], $2::timestamptz[], $3::uuid[], $4::timestamptz[], $5::uuid[])
    AS new (workspace_id, cycle_start, contact_id, first_counted_at, first_message_id)
ORDER BY workspace_id, cycle_start, contact_id
ON CONFLICT (workspace_id, cycle_start, contact_id) DO UPDATE
SET first_counted_at = excluded.first_counted_at, first_message_id = excluded.first_message_id

-- name: remove_proofs
DELETE FROM mac_contacts WHERE (workspace_id, cycle_start, contact_id) IN (
    SELECT * FROM unnest($1::text[], $2::timestamptz[], $3::uuid[]))

-- name: forget_counted
UPDATE contacts c SET counted_at = NULL
FROM (SELECT DISTINCT * FROM unnest($1::text[], $2::uuid[]) AS old (workspace_id, contact_id) ORDER BY workspace_id, contact_id) AS old
WHERE c.workspace_id = old.workspace_id AND c.contact_id = old.contact_id AND c.counted_at IS NOT NULL

-- name: forget_all_counted
UPDATE contacts SET counted_at = NULL WHERE workspace_id = $1 AND counted_at IS NOT NULL

-- name: count
-- Cycles, which everybody makes, before shards, which only one writer has: two that wait for each other would never end.
WITH cycles AS (
    INSERT INTO mac_cycles (workspace_id, cycle_start, cycle_end)
    SELECT * FROM unnest($1::text[], $2::timestamptz[], $3::timestamptz[]) AS new (workspace_id, cycle_start, cycle_end)
    ORDER BY workspace_id, cycle_start
    ON CONFLICT DO NOTHING
    RETURNING workspace_id, cycle_start, '' AS shard, revision
), shards AS (
    INSERT INTO mac_shards (workspace_id, cycle_start, shard, active_contacts)
    SELECT * FROM unnest($4::text[], $5::timestamptz[], $6::text[], $7::bigint[])
        AS new (workspace_id, cycle_start, shard, active_contacts)
    ORDER BY workspace_id, cycle_start, shard
    ON CONFLICT (workspace_id, cycle_start, shard) DO UPDATE
    SET active_contacts = mac_shards.active_contacts + excluded.active_contacts, revision = mac_shards.revision + 1
    RETURNING workspace_id, cycle_start, shard, revision
)
INSERT INTO dirty_cycles (workspace_id, cycle_start, shard, revision)
SELECT * FROM (SELECT * FROM cycles UNION ALL SELECT * FROM shards) AS changed ORDER BY workspace_id, cycle_start, shard
ON CONFLICT (workspace_id, cycle_start, shard) DO UPDATE SET revision = excluded.revision

-- name: earliest_counted
-- The earliest counted message of a contact in a cycle: of equal times the smaller id.
SELECT wanted.position, earliest.event_time, earliest.message_id
FROM unnest($1::text[], $2::timestamptz[], $3::timestamptz[], $4::uuid[]) WITH ORDINALITY
    AS wanted (workspace_id, cycle_start, cycle_end, contact_id, position)
CROSS JOIN LATERAL (
    SELECT own.event_time, own.message_id FROM identities i
    CROSS JOIN generations g
    CROSS JOIN LATERAL (
        (SELECT m.event_time, m.message_id FROM messages m
        WHERE m.generation = g.generation AND m.workspace_id = i.workspace_id AND m.identity_id = i.identity_id
            AND m.drop_reason IS NULL AND m.counted
            AND m.event_time >= wanted.cycle_start AND m.event_time < wanted.cycle_end
        ORDER BY m.event_time, m.message_id LIMIT 1)
        UNION ALL
        (SELECT m.event_time, m.message_id FROM messages m
        WHERE m.generation = g.generation AND m.workspace_id = i.workspace_id AND m.identity_id = i.identity_id
            AND m.drop_reason IS NOT NULL AND m.counted
            AND m.event_time >= wanted.cycle_start AND m.event_time < wanted.cycle_end
        ORDER BY m.event_time, m.message_id LIMIT 1)
    ) AS own
    WHERE i.workspace_id = wanted.workspace_id AND i.contact_id = wanted.contact_id
    ORDER BY own.event_time, own.message_id LIMIT 1
) AS earliest

-- name: without_current_cycle
-- Workspaces whose newest cycle has ended: the billing month turned and nobody wrote yet.
SELECT w.workspace_id, w.first_message_at FROM workspaces w
WHERE w.first_message_at IS NOT NULL AND NOT EXISTS (
    SELECT FROM mac_cycles c WHERE c.workspace_id = w.workspace_id AND c.cycle_end > $1
)
ORDER BY w.workspace_id LIMIT $2

-- name: recount_messages
-- $2… describe the cycles: start, end, whether a dropped message may count, reactions, broadcasts, and as one JSON array of
-- channel_ids each the test channels.
UPDATE messages m SET counted = judged.counted, mac_rule = judged.rule
FROM (
    SELECT m.generation, m.workspace_id, m.message_id,
        CASE WHEN m.drop_reason IS NOT NULL THEN c.rule END AS rule,
        CASE
            WHEN c.uncounted::jsonb ? m.channel_id THEN false
            WHEN m.kind = 'reaction' AND NOT c.reactions THEN false
            WHEN m.kind = 'broadcast' AND NOT c.broadcasts THEN false
            WHEN m.kind = 'echo' THEN m.block_start IS NULL
            WHEN m.drop_reason IS NOT NULL AND m.block_start IS NOT NULL
                THEN c.rule = 'next_cycle' AND c.cycle_start <= m.block_start
            ELSE true
        END AS counted
    FROM generations g
    JOIN messages m ON m.generation = g.generation
    JOIN unnest($2::timestamptz[], $3::timestamptz[], $4::text[], $5::boolean[], $6::boolean[], $7::text[])
        AS c (cycle_start, cycle_end, rule, reactions, broadcasts, uncounted)
        ON m.event_time >= c.cycle_start AND m.event_time < c.cycle_end
    WHERE m.workspace_id = $1
) AS judged
WHERE m.generation = judged.generation AND m.workspace_id = judged.workspace_id AND m.message_id = judged.message_id
    AND (m.counted, m.mac_rule) IS DISTINCT FROM (judged.counted, judged.rule)

-- name: span_of_messages
SELECT min(event_time) AS first, max(event_time) AS last FROM generations JOIN messages USING (generation) WHERE workspace_id = $1

-- name: forget_counts
WITH revisions AS (
    SELECT cycle_start, sum(revision) AS revision FROM (
        SELECT cycle_start, revision FROM mac_cycles WHERE workspace_id = $1
        UNION ALL
        SELECT cycle_start, revision FROM mac_shards WHERE workspace_id = $1
    ) AS r GROUP BY cycle_start
), contacts_gone AS (
    DELETE FROM mac_contacts WHERE workspace_id = $1
), shards_gone AS (
    DELETE FROM mac_shards WHERE workspace_id = $1
), cycles_gone AS (
    DELETE FROM mac_cycles WHERE workspace_id = $1
)
SELECT cycle_start, revision FROM revisions

-- name: recount_contacts
INSERT INTO mac_contacts (workspace_id, cycle_start, contact_id, first_counted_at, first_message_id)
SELECT DISTINCT ON (c.cycle_start, i.contact_id) m.workspace_id, c.cycle_start, i.contact_id, m.event_time, m.message_id
FROM generations g
JOIN messages m USING (generation)
JOIN identities i USING (workspace_id, identity_id)
JOIN unnest($2::timestamptz[], $3::timestamptz[]) AS c (cycle_start, cycle_end)
    ON m.event_time >= c.cycle_start AND m.event_time < c.cycle_end
WHERE m.workspace_id = $1 AND m.counted
ORDER BY c.cycle_start, i.contact_id, m.event_time, m.message_id

-- name: recount_cycles
-- Revisions go on from where they were, so that a reader of the topic takes the recount for the newest.
INSERT INTO mac_cycles (workspace_id, cycle_start, cycle_end, revision)
SELECT $1, c.cycle_start, c.cycle_end, c.revision
FROM unnest($2::timestamptz[], $3::timestamptz[], $4::bigint[]) AS c (cycle_start, cycle_end, revision)
ORDER BY c.cycle_start

-- name: recount_shards
INSERT INTO mac_shards (workspace_id, cycle_start, shard, active_contacts)
SELECT workspace_id, cycle_start, 'recount', count(*) FROM mac_contacts WHERE workspace_id = $1
GROUP BY workspace_id, cycle_start ORDER BY cycle_start

-- name: mark_cycles_dirty
INSERT INTO dirty_cycles (workspace_id, cycle_start, shard, revision)
SELECT $1, cycle_start, '', 0 FROM unnest($2::timestamptz[]) AS c (cycle_start) ORDER BY cycle_start
ON CONFLICT (workspace_id, cycle_start, shard) DO UPDATE SET revision = excluded.revision

-- name: dirty_cycles
SELECT workspace_id, cycle_start, shard, revision FROM dirty_cycles ORDER BY workspace_id, cycle_start, shard LIMIT $1

-- name: counts
SELECT c.workspace_id, c.cycle_start, c.cycle_end, c.active_contacts, c.adjustments, c.status, c.revision
FROM unnest($1::text[], $2::timestamptz[]) AS wanted (workspace_id, cycle_start)
JOIN sluice.mac_counts c USING (workspace_id, cycle_start)

-- name: clear_dirty_cycles
-- A mark that somebody holds is being renewed: it stays, and nobody waits for anybody.
DELETE FROM dirty_cycles d USING (
    SELECT workspace_id, cycle_start, shard
    FROM unnest($1::text[], $2::timestamptz[], $3::text[], $4::bigint[]) AS done (workspace_id, cycle_start, shard, revision)
    JOIN dirty_cycles USING (workspace_id, cycle_start, shard, revision)
    ORDER BY workspace_id, cycle_start, shard FOR UPDATE OF dirty_cycles SKIP LOCKED
) AS done
WHERE (d.workspace_id, d.cycle_start, d.shard) = (done.workspace_id, done.cycle_start, done.shard)

-- name: mark_for_repair
INSERT INTO dirty_cycles (workspace_id, cycle_start, shard, revision)
SELECT workspace_id, cycle_start, 'repair', -nextval('repairs')
FROM (SELECT * FROM unnest($1::text[], $2::timestamptz[]) AS t (workspace_id, cycle_start) ORDER BY workspace_id, cycle_start) AS t
ON CONFLICT (workspace_id, cycle_start, shard) DO UPDATE SET revision = excluded.revision
