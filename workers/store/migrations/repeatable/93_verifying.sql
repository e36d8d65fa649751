-- Counting again: what counts, compared with the messages and the settings. Every figure that these functions compare comes from one
-- statement, so nothing that workers commit meanwhile makes a difference. Billing has no right to the private tables, so those in the
-- schema sluice run with their owner's.

-- The same as `is_counted` in workers/rules/mac.py.
CREATE FUNCTION sluice_core.is_counted(
    kind text, dropped boolean, block_start timestamptz, cycle_start timestamptz,
    block_effect text, count_broadcasts boolean, count_reactions boolean, channel_counts boolean
) RETURNS boolean LANGUAGE sql IMMUTABLE PARALLEL SAFE
    RETURN channel_counts AND (kind <> 'reaction' OR count_reactions) AND (kind <> 'broadcast' OR count_broadcasts) AND CASE
        WHEN kind = 'echo' THEN block_start IS NULL
        WHEN dropped AND block_start IS NOT NULL THEN block_effect = 'next_cycle' AND cycle_start <= block_start
        ELSE true
    END;

-- The value of a workspace's setting in each of these cycles, in their order.
CREATE FUNCTION sluice_core.held_in_cycles(of_workspace text, of_name text, by_default text, starts timestamptz[])
RETURNS text[] LANGUAGE sql STABLE PARALLEL SAFE
    RETURN (
        SELECT array_agg(coalesce((
            SELECT h.value #>> '{}' FROM sluice_core.effective_settings h
            WHERE h.workspace_id = of_workspace AND h.channel_id = '' AND h.name = of_name
                AND h.holds_from <= greatest(s.start, '1970-01-01T00:00:00Z')
            ORDER BY h.holds_from DESC LIMIT 1
        ), by_default) ORDER BY s.number)
        FROM unnest(starts) WITH ORDINALITY AS s (start, number)
    );

-- How verifying names a row of mac_contacts and a mark of a message.
CREATE FUNCTION sluice_core.named_proof(message_id uuid, at timestamptz) RETURNS text LANGUAGE sql STABLE PARALLEL SAFE
    RETURN CASE WHEN message_id IS NULL THEN 'no row' ELSE format('%s of %s', message_id, to_char(at AT TIME ZONE 'UTC', 'YYYY-MM-DD"T"HH24:MI:SS.US"Z"')) END;
CREATE FUNCTION sluice_core.counts_or_not(counts boolean) RETURNS text LANGUAGE sql IMMUTABLE PARALLEL SAFE
    RETURN CASE WHEN counts THEN 'counts' ELSE 'does not count' END;

-- Messages of contacts from `first` to `last`, and whether each counts in its cycle. `starts`: where cycles begin, one after the other,
-- and where the last of them ends; `number` is a cycle's place in it. `effects`, `broadcasts` and `reactions` have a setting for each.
CREATE FUNCTION sluice_core.judged_again(
    of_workspace text, first uuid, last uuid, starts timestamptz[], effects text[], broadcasts boolean[], reactions boolean[]
) RETURNS TABLE (contact_id uuid, number int, message_id uuid, event_time timestamptz, stored boolean, counts boolean)
LANGUAGE sql STABLE PARALLEL SAFE AS $$
    SELECT m.contact_id, m.number, m.message_id, m.event_time, m.counted, sluice_core.is_counted(
        m.kind, m.dropped, m.block_start, starts[m.number], effects[m.number], broadcasts[m.number], reactions[m.number],
        u.channel_id IS NULL
    )
    FROM (
        -- Each half has an index of messages.
        SELECT i.contact_id, m.message_id, m.kind, m.channel_id, m.event_time, m.counted, false AS dropped, m.block_start,
            width_bucket(m.event_time, starts) AS number
        FROM sluice_core.owned_identities i
        CROSS JOIN sluice_core.generations g
        JOIN sluice_core.messages m
            ON m.generation = g.generation AND m.identity_id = i.identity_id AND m.workspace_id = i.workspace_id
        WHERE i.workspace_id = of_workspace AND i.contact_id >= first AND i.contact_id <= last
            AND m.workspace_id = of_workspace AND m.drop_reason IS NULL
            AND m.event_time >= starts[1] AND m.event_time < starts[cardinality(starts)]
        UNION ALL
        SELECT i.contact_id, m.message_id, m.kind, m.channel_id, m.event_time, m.counted, true, m.block_start,
            width_bucket(m.event_time, starts)
        FROM sluice_core.owned_identities i
        CROSS JOIN sluice_core.generations g
        JOIN sluice_core.messages m
            ON m.generation = g.generation AND m.identity_id = i.identity_id AND m.workspace_id = i.workspace_id
        WHERE i.workspace_id = of_workspace AND i.contact_id >= first AND i.contact_id <= last
            AND m.workspace_id = of_workspace AND m.drop_reason IS NOT NULL
            AND m.event_time >= starts[1] AND m.event_time < starts[cardinality(starts)]
    ) AS m
    LEFT JOIN (
        -- The test channels of each cycle.
        SELECT s.number, c.channel_id
        FROM unnest(starts) WITH ORDINALITY AS s (start, number)
        CROSS JOIN (
            SELECT DISTINCT h.channel_id FROM sluice_core.effective_settings h
            WHERE h.workspace_id = of_workspace AND h.channel_id <> '' AND h.name = 'count' AND h.value = 'false'
        ) AS c
        WHERE 'false' = (
            SELECT h.value FROM sluice_core.effective_settings h
            WHERE h.workspace_id = of_workspace AND h.channel_id = c.channel_id AND h.name = 'count'
                AND h.holds_from <= greatest(s.start, '1970-01-01T00:00:00Z')
            ORDER BY h.holds_from DESC LIMIT 1
        )
    ) AS u ON u.number = m.number AND u.channel_id = m.channel_id
$$;

-- How a workspace may be verified: since when it has messages; whether each cycle since then has a row, but for those that began just
-- now; whether it is being counted again, and how many single contacts are. No row: there is no such workspace.
CREATE FUNCTION sluice.verify_workspace(of_workspace text)
RETURNS TABLE (first_message_at timestamptz, has_cycles boolean, counted_again boolean, contacts_again bigint)
LANGUAGE sql STABLE SECURITY DEFINER SET search_path = pg_catalog AS $$
    SELECT w.first_message_at, coalesce(w.cycles_from <= w.first_message_at, false),
        EXISTS (SELECT FROM sluice_core.pending_work p WHERE p.workspace_id = of_workspace AND p.kind = 'count again'),
        (SELECT count(*) FROM sluice_core.pending_work p WHERE p.workspace_id = of_workspace AND p.kind = 'count a contact again')
    FROM sluice_core.workspaces w WHERE w.workspace_id = of_workspace
$$;

-- Every cycle that any of the tables that count knows, by its start. From start to start by index: a
-- cycle may have ten million rows. Quarters of a cycle that was divided again stay for a while, and come to nothing.
CREATE FUNCTION sluice.verify_starts(of_workspace text) RETURNS SETOF timestamptz
LANGUAGE sql STABLE SECURITY DEFINER SET search_path = pg_catalog AS $$
    WITH RECURSIVE contacts (cycle_start) AS (
        SELECT (SELECT t.cycle_start FROM sluice_core.mac_contacts t WHERE t.workspace_id = of_workspace ORDER BY t.cycle_start LIMIT 1)
        UNION ALL
        SELECT (
            SELECT t.cycle_start FROM sluice_core.mac_contacts t
            WHERE t.workspace_id = of_workspace AND t.cycle_start > k.cycle_start ORDER BY t.cycle_start LIMIT 1
        ) FROM contacts k WHERE k.cycle_start IS NOT NULL
    ), adjustments (cycle_start) AS (
        SELECT (SELECT t.cycle_start FROM sluice_core.mac_adjustments t WHERE t.workspace_id = of_workspace ORDER BY t.cycle_start LIMIT 1)
        UNION ALL
        SELECT (
            SELECT t.cycle_start FROM sluice_core.mac_adjustments t
            WHERE t.workspace_id = of_workspace AND t.cycle_start > k.cycle_start ORDER BY t.cycle_start LIMIT 1
        ) FROM adjustments k WHERE k.cycle_start IS NOT NULL
    ), summed (cycle_start) AS (
        SELECT (SELECT t.cycle_start FROM sluice_core.mac_quarters t WHERE t.workspace_id = of_workspace AND t.summed ORDER BY t.cycle_start LIMIT 1)
        UNION ALL
        SELECT (
            SELECT t.cycle_start FROM sluice_core.mac_quarters t
            WHERE t.workspace_id = of_workspace AND t.cycle_start > k.cycle_start AND t.summed ORDER BY t.cycle_start LIMIT 1
        ) FROM summed k WHERE k.cycle_start IS NOT NULL
    ), changes (cycle_start) AS (
        SELECT (SELECT t.cycle_start FROM sluice_core.mac_quarters t WHERE t.workspace_id = of_workspace AND NOT t.summed ORDER BY t.cycle_start LIMIT 1)
        UNION ALL
        SELECT (
            SELECT t.cycle_start FROM sluice_core.mac_quarters t
            WHERE t.workspace_id = of_workspace AND t.cycle_start > k.cycle_start AND NOT t.summed ORDER BY t.cycle_start LIMIT 1
        ) FROM changes k WHERE k.cycle_start IS NOT NULL
    )
    SELECT k.cycle_start FROM (
        SELECT c.cycle_start FROM sluice_core.mac_cycles c WHERE c.workspace_id = of_workspace
        UNION SELECT s.cycle_start FROM sluice_core.mac_shards s WHERE s.workspace_id = of_workspace
        UNION SELECT a.cycle_start FROM contacts a UNION SELECT a.cycle_start FROM adjustments a
        UNION SELECT q.cycle_start FROM (SELECT s.cycle_start FROM summed s UNION SELECT s.cycle_start FROM changes s) AS q
        WHERE NOT EXISTS (SELECT FROM sluice_core.mac_cycles c WHERE c.workspace_id = of_workspace AND c.cycle_start = q.cycle_start)
            AND EXISTS (
                SELECT FROM (
                    SELECT t.quarter, t.active_contacts FROM sluice_core.mac_quarters t
                    WHERE t.workspace_id = of_workspace AND t.cycle_start = q.cycle_start AND t.summed
                    UNION ALL
                    SELECT t.quarter, t.active_contacts FROM sluice_core.mac_quarters t
                    WHERE t.workspace_id = of_workspace AND t.cycle_start = q.cycle_start AND NOT t.summed
                ) AS t GROUP BY t.quarter HAVING sum(t.active_contacts) <> 0
            )
    ) AS k
    WHERE k.cycle_start IS NOT NULL ORDER BY k.cycle_start
$$;

-- The figures of one cycle. `contacts`: its rows of mac_contacts; `shards`: the sum of its shards. Without a row of mac_cycles the
-- status is null.
CREATE FUNCTION sluice.verify_figures(of_workspace text, of_cycle timestamptz)
RETURNS TABLE (cycle_end timestamptz, status text, closed_at timestamptz, contacts bigint, shards bigint, adjustments bigint)
LANGUAGE sql STABLE SECURITY DEFINER SET search_path = pg_catalog AS $$
    SELECT c.cycle_end, c.status, c.closed_at,
        (SELECT count(*) FROM sluice_core.mac_contacts m WHERE m.workspace_id = of_workspace AND m.cycle_start = of_cycle),
        (SELECT coalesce(sum(s.active_contacts), 0)::bigint FROM sluice_core.mac_shards s
        WHERE s.workspace_id = of_workspace AND s.cycle_start = of_cycle),
        (SELECT count(*) FROM sluice_core.mac_adjustments a WHERE a.workspace_id = of_workspace AND a.cycle_start = of_cycle)
    FROM (VALUES (1)) AS one
    LEFT JOIN sluice_core.mac_cycles c ON c.workspace_id = of_workspace AND c.cycle_start = of_cycle
$$;

-- The quarters of an hour of a cycle, by which mac_days counts, that differ from its rows of mac_contacts: `most` at most.
CREATE FUNCTION sluice.verify_quarters(of_workspace text, of_cycle timestamptz, most int)
RETURNS TABLE (quarter timestamptz, stands bigint, should bigint)
LANGUAGE sql STABLE SECURITY DEFINER SET search_path = pg_catalog AS $$
    SELECT d.quarter, sum(d.stands)::bigint, sum(d.should)::bigint
    FROM (
        SELECT q.quarter, q.active_contacts AS stands, 0 AS should FROM sluice_core.mac_quarters q
        WHERE q.workspace_id = of_workspace AND q.cycle_start = of_cycle AND q.summed
        UNION ALL
        SELECT q.quarter, q.active_contacts, 0 FROM sluice_core.mac_quarters q
        WHERE q.workspace_id = of_workspace AND q.cycle_start = of_cycle AND NOT q.summed
        UNION ALL
        SELECT date_bin('15 minutes', m.first_counted_at, '2000-01-01T00:00:00Z') AS quarter, 0, count(*)
        FROM sluice_core.mac_contacts m WHERE m.workspace_id = of_workspace AND m.cycle_start = of_cycle GROUP BY 1
    ) AS d
    GROUP BY d.quarter HAVING sum(d.stands) <> sum(d.should) ORDER BY d.quarter LIMIT most
$$;

-- Contacts from `first` to `last` whose rows differ from their messages in one of the cycles, `most` at most. Cycles begin at
-- `of_starts`, one after the other; its last time is where the last one ends. `what`: 'contact' names the row that stands and the one
-- that should; 'message' a message whose column `counted` is wrong.
--
-- Each call is planned for its own range: of a few contacts the messages are looked up, of all of them all are read once.
CREATE FUNCTION sluice.verify_contacts(of_workspace text, of_starts timestamptz[], first uuid, last uuid, most int)
RETURNS TABLE (cycle_start timestamptz, contact_id uuid, what text, stands text, should text)
LANGUAGE plpgsql STABLE SECURITY DEFINER SET search_path = sluice_core, pg_temp SET plan_cache_mode = force_custom_plan
SET work_mem = '64MB' AS $$
#variable_conflict use_column
DECLARE
    effects text[] := held_in_cycles(of_workspace, 'mac_block_effect', 'next_cycle', of_starts);
    broadcasts boolean[] := held_in_cycles(of_workspace, 'count_broadcasts', 'true', of_starts)::boolean[];
    reactions boolean[] := held_in_cycles(of_workspace, 'count_reactions', 'true', of_starts)::boolean[];
    cycles timestamptz[] := of_starts[:cardinality(of_starts) - 1];
    undecided uuid[] := ARRAY(
        SELECT coalesce(sluice_core.present(of_workspace, w.subject::uuid), w.subject::uuid) FROM pending_work w
        WHERE w.workspace_id = of_workspace AND w.kind = 'count a contact again'
    );
BEGIN
    RETURN QUERY
    WITH different AS MATERIALIZED (
        SELECT coalesce(j.contact_id, p.contact_id) AS contact_id, coalesce(j.number, p.number) AS number
        FROM judged_again(of_workspace, first, last, of_starts, effects, broadcasts, reactions) AS j
        FULL JOIN (
            SELECT p.contact_id, width_bucket(p.cycle_start, of_starts) AS number, p.first_counted_at, p.first_message_id
            FROM mac_contacts p
            WHERE p.workspace_id = of_workspace AND p.cycle_start = ANY (cycles) AND p.contact_id >= first AND p.contact_id <= last
        ) AS p ON p.contact_id = j.contact_id AND p.number = j.number
        GROUP BY 1, 2
        HAVING coalesce(j.contact_id, p.contact_id) <> ALL (undecided) AND (
            -- There is a row, and no message that counts is its proof; or there is none, or a later one, and a message that counts.
            bool_or(p.contact_id IS NOT NULL) AND bool_and(
                (j.counts AND j.event_time = p.first_counted_at AND j.message_id = p.first_message_id) IS NOT TRUE
            )
            OR bool_or(j.counts AND (
                p.contact_id IS NULL OR (j.event_time, j.message_id) < (p.first_counted_at, p.first_message_id)
            ))
            OR bool_or(j.counts <> j.stored)
        )
        LIMIT most
    )
    SELECT of_starts[d.number], d.contact_id, w.what, w.stands, w.should
    FROM different d
    CROSS JOIN LATERAL (
        SELECT 'contact' AS what, named_proof(p.first_message_id, p.first_counted_at) AS stands,
            named_proof(j.message_id, j.event_time) AS should
        FROM (VALUES (1)) AS one
        LEFT JOIN mac_contacts p
            ON p.workspace_id = of_workspace AND p.cycle_start = of_starts[d.number] AND p.contact_id = d.contact_id
        LEFT JOIN LATERAL (
            SELECT j.message_id, j.event_time
            FROM judged_again(of_workspace, d.contact_id, d.contact_id, of_starts, effects, broadcasts, reactions) AS j
            WHERE j.number = d.number AND j.counts ORDER BY j.event_time, j.message_id LIMIT 1
        ) AS j ON true
        WHERE (p.first_message_id, p.first_counted_at) IS DISTINCT FROM (j.message_id, j.event_time)
        UNION ALL
        (SELECT 'message', format('%s %s', j.message_id, counts_or_not(j.stored)), format('%s %s', j.message_id, counts_or_not(j.counts))
        FROM judged_again(of_workspace, d.contact_id, d.contact_id, of_starts, effects, broadcasts, reactions) AS j
        WHERE j.number = d.number AND j.counts <> j.stored ORDER BY j.event_time, j.message_id LIMIT most)
    ) AS w
    ORDER BY d.number, d.contact_id, w.what, w.stands;
END $$;

-- Where a part of `most` contacts ends that begins at `first`: the last contact of it, by any of the tables that have contacts.
CREATE FUNCTION sluice.verify_until(of_workspace text, first uuid, of_starts timestamptz[], most int) RETURNS uuid
LANGUAGE sql STABLE SECURITY DEFINER SET search_path = pg_catalog AS $$
    SELECT e.contact_id FROM (
        (SELECT c.contact_id FROM sluice_core.contacts c WHERE c.workspace_id = of_workspace AND c.contact_id >= first
        ORDER BY c.contact_id OFFSET most - 1 LIMIT 1)
        UNION ALL
        (SELECT c.contact_id FROM sluice_core.deleted_contacts c WHERE c.workspace_id = of_workspace AND c.contact_id >= first
        ORDER BY c.contact_id OFFSET most - 1 LIMIT 1)
        UNION ALL
        SELECT m.contact_id FROM unnest(of_starts) AS s (start)
        CROSS JOIN LATERAL (
            SELECT m.contact_id FROM sluice_core.mac_contacts m
            WHERE m.workspace_id = of_workspace AND m.cycle_start = s.start AND m.contact_id >= first
            ORDER BY m.contact_id OFFSET most - 1 LIMIT 1
        ) AS m
        UNION ALL
        SELECT 'ffffffff-ffff-ffff-ffff-ffffffffffff'
    ) AS e ORDER BY e.contact_id LIMIT 1
$$;

REVOKE ALL ON FUNCTION sluice.verify_workspace(text), sluice.verify_starts(text), sluice.verify_figures(text, timestamptz),
    sluice.verify_quarters(text, timestamptz, int), sluice.verify_contacts(text, timestamptz[], uuid, uuid, int),
    sluice.verify_until(text, uuid, timestamptz[], int) FROM PUBLIC;
GRANT EXECUTE ON FUNCTION sluice.verify_workspace(text), sluice.verify_starts(text), sluice.verify_figures(text, timestamptz),
    sluice.verify_quarters(text, timestamptz, int), sluice.verify_contacts(text, timestamptz[], uuid, uuid, int),
    sluice.verify_until(text, uuid, timestamptz[], int) TO sluice_worker, sluice_reader, sluice_billing;

-- The last verification of each workspace.
CREATE VIEW sluice.verifications AS
SELECT workspace_id, verified_at, differences, not_final, examples FROM sluice_core.verifications;

-- The round under way, or the last one, and how many workspaces differ: one row, none before the first round.
CREATE VIEW sluice.verification_round AS
SELECT r.began_at, r.ended_at, coalesce(d.workspaces, 0) AS workspaces_that_differ, coalesce(d.differences, 0)::bigint AS differences
FROM sluice_core.verification_round r
CROSS JOIN (
    SELECT count(*) AS workspaces, sum(v.differences) AS differences FROM sluice_core.verifications v WHERE v.differences > 0
) AS d;

GRANT SELECT ON sluice.verifications, sluice.verification_round TO sluice_billing;
