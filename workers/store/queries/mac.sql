-- name: proofs
SELECT m.workspace_id, m.cycle_start, m.contact_id, m.first_counted_at, m.first_message_id
FROM unnest($1::text[], $2::timestamptz[], $3::uuid[]) AS wanted (workspace_id, cycle_start, contact_id)
JOIN mac_contacts m USING (workspace_id, cycle_start, contact_id)

-- name: save_better_proofs
-- Stores proofs that are earlier than the stored ones; returns those of contacts that had none, and those for closed cycles (`closed`),
-- which it does not store. Others are left out before the INSERT, which would lock the row even if its own WHERE excludes it.
WITH new AS (
    SELECT new.*, EXISTS (
        SELECT FROM mac_cycles c
        WHERE c.workspace_id = new.workspace_id AND c.cycle_start = new.cycle_start AND c.status = 'closed'
    ) AS closed
    FROM unnest($1::text[], $2::timestamptz[], $3::uuid[], $4::timestamptz[], $5::uuid[])
        AS new (workspace_id, cycle_start, contact_id, first_counted_at, first_message_id)
), saved AS (
    INSERT INTO mac_contacts (workspace_id, cycle_start, contact_id, first_counted_at, first_message_id)
    SELECT new.workspace_id, new.cycle_start, new.contact_id, new.first_counted_at, new.first_message_id FROM new
    LEFT JOIN mac_contacts known USING (workspace_id, cycle_start, contact_id)
    WHERE NOT new.closed AND (known.contact_id IS NULL
        OR (new.first_counted_at, new.first_message_id) < (known.first_counted_at, known.first_message_id))
    ORDER BY new.workspace_id, new.cycle_start, new.contact_id
    ON CONFLICT (workspace_id, cycle_start, contact_id) DO UPDATE
    SET first_counted_at = excluded.first_counted_at, first_message_id = excluded.first_message_id
    WHERE (excluded.first_counted_at, excluded.first_message_id)
        < (mac_contacts.first_counted_at, mac_contacts.first_message_id)
    RETURNING workspace_id, cycle_start, contact_id, (xmax = 0) AS added
)
SELECT workspace_id, cycle_start, contact_id, false AS closed FROM saved WHERE added
UNION ALL
SELECT workspace_id, cycle_start, contact_id, true FROM new WHERE closed

-- name: closed
SELECT c.workspace_id, c.cycle_start
FROM (SELECT DISTINCT * FROM unnest($1::text[], $2::timestamptz[]) AS t (workspace_id, cycle_start)) AS wanted
JOIN mac_cycles c USING (workspace_id, cycle_start) WHERE c.status = 'closed'

-- name: leave_late
INSERT INTO late_facts (workspace_id, cycle_start, contact_id, cause, fact_id)
SELECT DISTINCT * FROM unnest($1::text[], $2::timestamptz[], $3::uuid[], $4::text[], $5::text[])
    AS new (workspace_id, cycle_start, contact_id, cause, fact_id)
ORDER BY workspace_id, cycle_start, contact_id, cause, fact_id
ON CONFLICT (workspace_id, cycle_start, contact_id, cause, fact_id) DO UPDATE SET settled = false

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

-- name: count
-- Cycles, which all writers insert, before shards, which have one writer each: otherwise two transactions could deadlock.
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
INSERT INTO unpublished_cycles (workspace_id, cycle_start, shard, revision)
SELECT * FROM (SELECT * FROM cycles UNION ALL SELECT * FROM shards) AS changed ORDER BY workspace_id, cycle_start, shard
ON CONFLICT (workspace_id, cycle_start, shard) DO UPDATE SET revision = excluded.revision

-- name: sum_quarters
-- Sums up $1 changes of the counts by quarter of an hour, and returns how many it found.
WITH taken AS (
    DELETE FROM mac_quarters WHERE ctid = ANY (ARRAY(SELECT ctid FROM mac_quarters WHERE NOT summed LIMIT $1)) AND NOT summed
    RETURNING workspace_id, cycle_start, quarter, active_contacts
), summed AS (
    INSERT INTO mac_quarters (workspace_id, cycle_start, quarter, active_contacts, summed)
    SELECT workspace_id, cycle_start, quarter, sum(active_contacts), true FROM taken
    GROUP BY workspace_id, cycle_start, quarter HAVING sum(active_contacts) <> 0 ORDER BY workspace_id, cycle_start, quarter
    ON CONFLICT (workspace_id, cycle_start, quarter) WHERE summed
    DO UPDATE SET active_contacts = mac_quarters.active_contacts + excluded.active_contacts
)
SELECT count(*) FROM taken

-- name: earliest_counted
-- The earliest counted message of a contact after another one and before a moment: of equal times the smaller id. Of the accepted ones
-- of a generation $6 are looked at, and of the dropped ones; `more`: none of some counts, and there may be more.
SELECT wanted.position, earliest.event_time, earliest.message_id, earliest.more
FROM unnest($1::text[], $2::uuid[], $3::timestamptz[], $4::uuid[], $5::timestamptz[]) WITH ORDINALITY
    AS wanted (workspace_id, contact_id, after_at, after_id, until, position)
CROSS JOIN LATERAL (
    SELECT (array_agg(own.event_time ORDER BY own.event_time, own.message_id) FILTER (WHERE own.counted))[1] AS event_time,
        (array_agg(own.message_id ORDER BY own.event_time, own.message_id) FILTER (WHERE own.counted))[1] AS message_id,
        coalesce(bool_or(NOT own.counted), false) AS more
    FROM owned_identities i
    CROSS JOIN generations g
    CROSS JOIN LATERAL (
        (SELECT m.* FROM (
            SELECT m.event_time, m.message_id, m.counted, row_number() OVER (ORDER BY m.event_time, m.message_id) AS number
            FROM messages m
            WHERE m.generation = g.generation AND m.workspace_id = i.workspace_id AND m.identity_id = i.identity_id
                AND m.drop_reason IS NULL AND m.event_time >= wanted.after_at AND m.event_time < wanted.until
                AND (m.event_time, m.message_id) > (wanted.after_at, wanted.after_id)
            ORDER BY m.event_time, m.message_id LIMIT $6
        ) AS m WHERE m.counted OR m.number = $6 ORDER BY m.event_time, m.message_id LIMIT 1)
        UNION ALL
        (SELECT m.* FROM (
            SELECT m.event_time, m.message_id, m.counted, row_number() OVER (ORDER BY m.event_time, m.message_id) AS number
            FROM messages m
            WHERE m.generation = g.generation AND m.workspace_id = i.workspace_id AND m.identity_id = i.identity_id
                AND m.drop_reason IS NOT NULL AND m.event_time >= wanted.after_at AND m.event_time < wanted.until
                AND (m.event_time, m.message_id) > (wanted.after_at, wanted.after_id)
            ORDER BY m.event_time, m.message_id LIMIT $6
        ) AS m WHERE m.counted OR m.number = $6 ORDER BY m.event_time, m.message_id LIMIT 1)
    ) AS own
    WHERE i.workspace_id = wanted.workspace_id AND i.contact_id = wanted.contact_id
) AS earliest

-- name: open_proofs
-- The proofs of contacts in all cycles that are not closed: one look-up for each cycle and contact.
SELECT c.cycle_start, c.cycle_end, m.contact_id, m.first_counted_at, m.first_message_id
FROM mac_cycles c
CROSS JOIN unnest($2::uuid[]) AS wanted (contact_id)
CROSS JOIN LATERAL (
    SELECT m.* FROM mac_contacts m
    WHERE m.workspace_id = c.workspace_id AND m.cycle_start = c.cycle_start AND m.contact_id = wanted.contact_id LIMIT 1
) AS m
WHERE c.workspace_id = $1 AND c.status = 'open'

-- name: ended_cycles
SELECT workspace_id, cycle_start, cycle_end, status FROM mac_cycles
WHERE workspace_id = ANY ($1::text[]) AND (cycle_end <= $2 OR status = 'closed') ORDER BY workspace_id, cycle_start DESC

-- name: without_current_cycle
-- Workspaces whose newest cycle has ended, with that end: a new billing month without a message yet.
SELECT w.workspace_id, newest.cycle_end FROM workspaces w
CROSS JOIN LATERAL (
    SELECT c.cycle_end FROM mac_cycles c WHERE c.workspace_id = w.workspace_id AND c.cycle_start <= $1
    ORDER BY c.cycle_start DESC LIMIT 1
) AS newest
WHERE w.cycles_from IS NOT NULL AND newest.cycle_end <= $1
ORDER BY w.workspace_id LIMIT $2

-- name: has_cycles_since
SELECT EXISTS (SELECT FROM mac_cycles WHERE workspace_id = $1 AND cycle_start >= $2)

-- name: unpublished
SELECT workspace_id, cycle_start, shard, revision FROM unpublished_cycles ORDER BY workspace_id, cycle_start, shard LIMIT $1

-- name: counts
SELECT c.workspace_id, c.cycle_start, c.cycle_end, c.active_contacts, c.adjustments, c.status, c.revision
FROM unnest($1::text[], $2::timestamptz[]) AS wanted (workspace_id, cycle_start)
JOIN sluice.mac_counts c USING (workspace_id, cycle_start)

-- name: clear_unpublished
-- A locked mark is being renewed by another transaction: skip it, so that neither waits for the other.
DELETE FROM unpublished_cycles d USING (
    SELECT workspace_id, cycle_start, shard
    FROM unnest($1::text[], $2::timestamptz[], $3::text[], $4::bigint[]) AS done (workspace_id, cycle_start, shard, revision)
    JOIN unpublished_cycles USING (workspace_id, cycle_start, shard, revision)
    ORDER BY workspace_id, cycle_start, shard FOR UPDATE OF unpublished_cycles SKIP LOCKED
) AS done
WHERE (d.workspace_id, d.cycle_start, d.shard) = (done.workspace_id, done.cycle_start, done.shard)

-- name: mark_for_repair
INSERT INTO unpublished_cycles (workspace_id, cycle_start, shard, revision)
SELECT workspace_id, cycle_start, 'repair', -nextval('repair_revisions')
FROM (SELECT * FROM unnest($1::text[], $2::timestamptz[]) AS t (workspace_id, cycle_start) ORDER BY workspace_id, cycle_start) AS t
ON CONFLICT (workspace_id, cycle_start, shard) DO UPDATE SET revision = excluded.revision
