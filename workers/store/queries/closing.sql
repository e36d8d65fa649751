-- Closing of cycles, and adjustments of closed ones.

-- name: hold_open
-- Shared by whoever changes counts without an input partition; whoever closes takes it alone.
SELECT pg_advisory_xact_lock_shared(hashtextextended('sluice.closing', 0))

-- name: wait_for_jobs
SELECT pg_advisory_xact_lock(hashtextextended('sluice.closing', 0))

-- name: limit_wait
SELECT set_config('lock_timeout', $1, true)

-- name: wait_for_partitions
-- Each transaction of a worker holds the rows of its partitions from its first statement to its end.
SELECT topic FROM progress ORDER BY topic, partition FOR SHARE

-- name: without_instant
SELECT workspace_id, cycle_start, cycle_end FROM mac_cycles
WHERE status = 'open' AND closes_at IS NULL ORDER BY workspace_id, cycle_start LIMIT $1

-- name: save_instants
UPDATE mac_cycles c SET closes_at = new.closes_at
FROM (SELECT * FROM unnest($1::text[], $2::timestamptz[], $3::timestamptz[]) AS new (workspace_id, cycle_start, closes_at)
    ORDER BY workspace_id, cycle_start) AS new
WHERE c.workspace_id = new.workspace_id AND c.cycle_start = new.cycle_start AND c.status = 'open'

-- name: forget_instants
UPDATE mac_cycles SET closes_at = NULL WHERE workspace_id = ANY ($1::text[]) AND status = 'open' AND closes_at IS NOT NULL

-- name: is_waiting
SELECT EXISTS (SELECT FROM mac_cycles WHERE status = 'open' AND closes_at <= greatest(now(), (SELECT max(watermark) FROM progress)))

-- name: due
-- Open cycles whose instant is not after $1, and those that a command closes, without those whose counts are still being computed.
SELECT workspace_id, cycle_start, cycle_end, closes_at FROM (
    (SELECT c.* FROM mac_cycles c WHERE c.status = 'open' AND c.closes_at <= $1
        AND NOT EXISTS (SELECT FROM sluice.counting_again w WHERE w.workspace_id = c.workspace_id)
    ORDER BY c.closes_at LIMIT $2)
    UNION
    (SELECT c.* FROM mac_cycles c WHERE c.status = 'open' AND c.closed_by IS NOT NULL AND c.closes_at IS NOT NULL
        AND NOT EXISTS (SELECT FROM sluice.counting_again w WHERE w.workspace_id = c.workspace_id)
    LIMIT $2)
) AS due
ORDER BY closes_at, workspace_id LIMIT $2

-- name: passed
SELECT CASE WHEN count(*) = count(passed) THEN min(passed) END FROM input_positions

-- name: delay
SELECT coalesce(extract(epoch FROM now() - (
    SELECT closes_at FROM mac_cycles WHERE status = 'open' AND closes_at <= now() ORDER BY closes_at LIMIT 1
)), 0)

-- name: save_ends
WITH gone AS (
    DELETE FROM input_ends WHERE (topic, partition) NOT IN (SELECT * FROM unnest($1::text[], $2::int[]))
)
INSERT INTO input_ends (topic, partition, end_offset, read_at)
SELECT topic, partition, end_offset, $4 FROM unnest($1::text[], $2::int[], $3::bigint[]) AS new (topic, partition, end_offset)
ORDER BY topic, partition
ON CONFLICT (topic, partition) DO UPDATE SET end_offset = excluded.end_offset, read_at = excluded.read_at

-- name: find_beside
-- Keeps what late facts did to facts on time that were applied after them: nobody noticed, because the message was new. A late block
-- judges a message of the cycle; a merge that is late, or was issued later, gives it to the survivor. A merge that was issued later
-- changes nothing itself, so it comes before all others. Each cycle looks at the commands after its instant.
WITH due AS MATERIALIZED (
    SELECT due.workspace_id, due.cycle_start, c.cycle_end, due.closes_at
    FROM unnest($1::text[], $2::timestamptz[], $3::timestamptz[]) AS due (workspace_id, cycle_start, closes_at)
    JOIN mac_cycles c USING (workspace_id, cycle_start)
), found AS (
    SELECT due.workspace_id, due.cycle_start, b.contact_id, b.cause, b.fact_id, now() AS at
    FROM due CROSS JOIN LATERAL (
        SELECT b.contact_id, CASE WHEN b.unblocks THEN 'late_unblock' ELSE 'late_block' END AS cause, b.command_id::text AS fact_id
        FROM block_commands b
        WHERE b.workspace_id = due.workspace_id AND b.recorded_at >= due.closes_at AND b.issued_at < due.cycle_end
        OFFSET 0
    ) AS b
    UNION ALL
    SELECT due.workspace_id, due.cycle_start, m.contact_id, m.cause, m.fact_id, 'epoch'::timestamptz
    FROM due CROSS JOIN LATERAL (
        SELECT CASE WHEN coalesce(m.undone_at, m.undo_recorded_at) IS NULL THEN 'merge' ELSE 'undo_merge' END AS cause,
            m.merge_id::text AS fact_id, unnest(ARRAY[m.survivor_id, m.loser_id]) AS contact_id
        FROM merges m
        WHERE m.workspace_id = due.workspace_id
            AND greatest(m.merged_at, m.recorded_at, m.undone_at, m.undo_recorded_at) >= due.closes_at
            AND EXISTS (
                SELECT FROM mac_contacts p WHERE p.workspace_id = due.workspace_id AND p.cycle_start = due.cycle_start
                    AND p.contact_id IN (m.survivor_id, m.loser_id)
            )
        OFFSET 0
    ) AS m
)
INSERT INTO late_facts (workspace_id, cycle_start, contact_id, cause, fact_id, at)
SELECT DISTINCT ON (workspace_id, cycle_start, contact_id, cause, fact_id) * FROM found
ORDER BY workspace_id, cycle_start, contact_id, cause, fact_id
ON CONFLICT (workspace_id, cycle_start, contact_id, cause, fact_id) DO NOTHING

-- name: unsettled
SELECT due.position, l.contact_id
FROM unnest($1::text[], $2::timestamptz[]) WITH ORDINALITY AS due (workspace_id, cycle_start, position)
CROSS JOIN LATERAL (
    SELECT l.contact_id FROM late_facts l
    WHERE l.workspace_id = due.workspace_id AND l.cycle_start = due.cycle_start AND NOT l.settled
    GROUP BY l.contact_id ORDER BY l.contact_id LIMIT $3
) AS l
ORDER BY due.position, l.contact_id LIMIT $3

-- name: settle
UPDATE late_facts SET settled = true WHERE workspace_id = $1 AND cycle_start = $2 AND contact_id = ANY ($3::uuid[]) AND NOT settled

-- name: merges_among
-- All merges of contacts that these were ever merged with, over any number of merges, in the order in which they were applied.
WITH RECURSIVE met (contact_id) AS (
    SELECT unnest($2::uuid[])
    UNION
    SELECT CASE WHEN m.survivor_id = met.contact_id THEN m.loser_id ELSE m.survivor_id END
    FROM met CROSS JOIN LATERAL (
        SELECT m.survivor_id, m.loser_id FROM merges m WHERE m.workspace_id = $1 AND m.survivor_id = met.contact_id
        UNION ALL
        SELECT m.survivor_id, m.loser_id FROM merges m WHERE m.workspace_id = $1 AND m.loser_id = met.contact_id
    ) AS m
)
SELECT DISTINCT m.number, m.survivor_id, m.loser_id, m.merged_at, m.recorded_at, m.undone_at, m.undo_recorded_at
FROM met CROSS JOIN LATERAL (
    SELECT m.* FROM merges m WHERE m.workspace_id = $1 AND m.survivor_id = met.contact_id
) AS m
ORDER BY m.number

-- name: blocks_on_time
-- The commands about the blocks of contacts that are on time for a cycle, and which of the contacts exist.
SELECT c.contact_id, b.issued_at, b.unblocks, b.command_id, b.actor_id
FROM unnest($2::uuid[]) AS wanted (contact_id)
JOIN contacts c ON c.workspace_id = $1 AND c.contact_id = wanted.contact_id
LEFT JOIN block_commands b ON b.workspace_id = c.workspace_id AND b.contact_id = c.contact_id AND coalesce(b.recorded_at < $3, true)

-- name: messages_on_time
-- Messages of a cycle that are on time, of addresses that were of contact $2 first, after a position, oldest first. `released`: on time.
SELECT m.event_time, m.message_id, m.kind, m.channel_id, m.drop_reason, m.counted,
    m.released AND coalesce(m.release_recorded_at < $5, true) AS released, m.body IS NULL AS erased
FROM home_identities i
JOIN generations g ON g.last_event >= $3
CROSS JOIN LATERAL (
    SELECT m.* FROM messages m
    WHERE m.generation = g.generation AND m.identity_id = i.identity_id AND m.workspace_id = $1 AND m.drop_reason IS NULL
        AND m.event_time >= $3 AND m.event_time < $4
    UNION ALL
    SELECT m.* FROM messages m
    WHERE m.generation = g.generation AND m.identity_id = i.identity_id AND m.workspace_id = $1 AND m.drop_reason IS NOT NULL
        AND m.event_time >= $3 AND m.event_time < $4
) AS m
WHERE i.workspace_id = $1 AND i.home_id = $2 AND coalesce(m.recorded_at < $5, true) AND (m.event_time, m.message_id) > ($6, $7)
ORDER BY m.event_time, m.message_id LIMIT $8

-- name: close
WITH closed AS (
    UPDATE mac_cycles c SET status = 'closed', closed_at = now(), revision = c.revision + 1, closed_contacts = coalesce((
        SELECT sum(s.active_contacts) FROM mac_shards s WHERE s.workspace_id = c.workspace_id AND s.cycle_start = c.cycle_start
    ), 0)
    FROM (SELECT * FROM unnest($1::text[], $2::timestamptz[]) AS t (workspace_id, cycle_start) ORDER BY 1, 2) AS due
    WHERE c.workspace_id = due.workspace_id AND c.cycle_start = due.cycle_start AND c.status = 'open'
        AND NOT EXISTS (
            SELECT FROM late_facts l WHERE l.workspace_id = c.workspace_id AND l.cycle_start = c.cycle_start AND NOT l.settled
        )
    RETURNING c.workspace_id, c.cycle_start, c.revision
), marked AS (
    INSERT INTO unpublished_cycles (workspace_id, cycle_start, shard, revision)
    SELECT workspace_id, cycle_start, '', revision FROM closed ORDER BY 1, 2
    ON CONFLICT (workspace_id, cycle_start, shard) DO UPDATE SET revision = excluded.revision
)
SELECT count(*) FROM closed

-- name: late_of_closed
-- The next late facts of one closed cycle, $1 at most; of the cycles with late facts each is looked at once, however many it has.
WITH RECURSIVE cycles AS (
    (SELECT workspace_id, cycle_start FROM late_facts ORDER BY workspace_id, cycle_start LIMIT 1)
    UNION ALL
    SELECT l.workspace_id, l.cycle_start FROM cycles
    CROSS JOIN LATERAL (
        SELECT l.workspace_id, l.cycle_start FROM late_facts l
        WHERE (l.workspace_id, l.cycle_start) > (cycles.workspace_id, cycles.cycle_start)
        ORDER BY l.workspace_id, l.cycle_start LIMIT 1
    ) AS l
), due AS (
    SELECT c.* FROM cycles JOIN mac_cycles c USING (workspace_id, cycle_start) WHERE c.status = 'closed' LIMIT 1
)
SELECT due.workspace_id, due.cycle_start, due.cycle_end, l.contact_id, l.cause, l.fact_id, l.at
FROM due CROSS JOIN LATERAL (
    SELECT l.* FROM late_facts l WHERE l.workspace_id = due.workspace_id AND l.cycle_start = due.cycle_start
    ORDER BY l.contact_id, l.cause, l.fact_id LIMIT $1
) AS l

-- name: active_by_all_facts
-- Those of these contacts that have a counted message in a cycle, from addresses that were theirs first.
SELECT wanted.contact_id FROM unnest($2::uuid[]) AS wanted (contact_id)
WHERE EXISTS (
    SELECT FROM (
        SELECT i.identity_id FROM home_identities i WHERE i.workspace_id = $1 AND i.home_id = wanted.contact_id OFFSET 0
    ) AS i
    JOIN generations g ON g.last_event >= $3
    CROSS JOIN LATERAL (
        (SELECT FROM messages m
        WHERE m.generation = g.generation AND m.identity_id = i.identity_id AND m.workspace_id = $1 AND m.drop_reason IS NULL
            AND m.event_time >= $3 AND m.event_time < $4 AND m.counted LIMIT 1)
        UNION ALL
        (SELECT FROM messages m
        WHERE m.generation = g.generation AND m.identity_id = i.identity_id AND m.workspace_id = $1 AND m.drop_reason IS NOT NULL
            AND m.event_time >= $3 AND m.event_time < $4 AND m.counted LIMIT 1)
    ) AS m
)

-- name: adjusted
SELECT contact_id, sum(amount)::int AS amount FROM mac_adjustments
WHERE workspace_id = $1 AND cycle_start = $2 AND contact_id = ANY ($3::uuid[]) GROUP BY contact_id

-- name: adjust
WITH added AS (
    INSERT INTO mac_adjustments (workspace_id, cycle_start, contact_id, amount, cause, fact_id)
    SELECT $1, $2, * FROM unnest($3::uuid[], $4::int[], $5::text[], $6::text[]) AS new (contact_id, amount, cause, fact_id)
), changed AS (
    UPDATE mac_cycles SET revision = revision + 1 WHERE workspace_id = $1 AND cycle_start = $2
    RETURNING workspace_id, cycle_start, revision
)
INSERT INTO unpublished_cycles (workspace_id, cycle_start, shard, revision)
SELECT workspace_id, cycle_start, '', revision FROM changed
ON CONFLICT (workspace_id, cycle_start, shard) DO UPDATE SET revision = excluded.revision

-- name: forget_late
DELETE FROM late_facts l USING unnest($3::uuid[], $4::text[], $5::text[]) AS done (contact_id, cause, fact_id)
WHERE l.workspace_id = $1 AND l.cycle_start = $2 AND l.contact_id = done.contact_id AND l.cause = done.cause
    AND l.fact_id = done.fact_id

-- name: find_cycle
SELECT cycle_start, cycle_end, status, closed_by FROM mac_cycles WHERE workspace_id = $1 AND cycle_start = $2 FOR UPDATE

-- name: force
UPDATE mac_cycles SET closed_by = $3, close_reason = $4 WHERE workspace_id = $1 AND cycle_start = $2

-- name: find_late
-- Facts about contacts $2 that are late for a cycle by an instant, which is earlier than the one that held when they were applied.
INSERT INTO late_facts (workspace_id, cycle_start, contact_id, cause, fact_id)
SELECT DISTINCT $1::text, $3::timestamptz, late.contact_id, late.cause, late.fact_id FROM (
    SELECT i.contact_id, m.cause, m.message_id::text AS fact_id FROM owned_identities i
    JOIN generations g ON g.last_event >= $3
    CROSS JOIN LATERAL (
        SELECT m.message_id, CASE WHEN m.kind IN ('send', 'broadcast') THEN 'late_receipt' ELSE 'late_message' END AS cause
        FROM messages m
        WHERE m.generation = g.generation AND m.identity_id = i.identity_id AND m.workspace_id = $1 AND m.drop_reason IS NULL
            AND m.event_time >= $3 AND m.event_time < $4 AND greatest(m.recorded_at, m.release_recorded_at) >= $5
        UNION ALL
        SELECT m.message_id, 'late_message' FROM messages m
        WHERE m.generation = g.generation AND m.identity_id = i.identity_id AND m.workspace_id = $1 AND m.drop_reason IS NOT NULL
            AND m.event_time >= $3 AND m.event_time < $4 AND greatest(m.recorded_at, m.release_recorded_at) >= $5
    ) AS m
    WHERE i.workspace_id = $1 AND i.contact_id = ANY ($2::uuid[])
    UNION ALL
    SELECT b.contact_id, CASE WHEN b.unblocks THEN 'late_unblock' ELSE 'late_block' END, b.command_id::text
    FROM block_commands b WHERE b.workspace_id = $1 AND b.contact_id = ANY ($2::uuid[]) AND b.recorded_at >= $5
    UNION ALL
    SELECT unnest(ARRAY[m.survivor_id, m.loser_id]), CASE WHEN m.recorded_at >= $5 THEN 'merge' ELSE 'undo_merge' END, m.merge_id::text
    FROM unnest($2::uuid[]) AS wanted (contact_id)
    JOIN merges m ON m.workspace_id = $1 AND m.loser_id = wanted.contact_id AND greatest(m.recorded_at, m.undo_recorded_at) >= $5
) AS late
WHERE EXISTS (SELECT FROM mac_cycles WHERE workspace_id = $1 AND cycle_start = $3) -- months may be divided again meanwhile
ORDER BY late.contact_id, late.cause, late.fact_id
ON CONFLICT (workspace_id, cycle_start, contact_id, cause, fact_id) DO UPDATE SET settled = false
