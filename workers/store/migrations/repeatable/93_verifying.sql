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
    RETURN CASE
        WHEN message_id IS NULL THEN 'no row'
        ELSE format('%s of %s', message_id, to_char(at AT TIME ZONE 'UTC', 'YYYY-MM-DD"T"HH24:MI:SS.US"Z"'))
    END;
CREATE FUNCTION sluice_core.counts_or_not(counts boolean) RETURNS text LANGUAGE sql IMMUTABLE PARALLEL SAFE
    RETURN CASE WHEN counts THEN 'counts' ELSE 'does not count' END;

-- Messages of contacts from `first` to `last`, and whether each counts in its cycle. `starts`: where cycles begin, one after the other,
-- and where the last of them ends; `number` is a cycle's place in it. `effects`, `broadcasts` and `reactions` have a setting for each.
-- `may_move`: the message's time may become an earlier one.
CREATE FUNCTION sluice_core.judged_again(
    of_workspace text, first uuid, last uuid, starts timestamptz[], effects text[], broadcasts boolean[], reactions boolean[]
) RETURNS TABLE (
    contact_id uuid, home_id uuid, number int, message_id uuid, event_time timestamptz, may_move boolean, stored boolean, counts boolean
)
LANGUAGE sql STABLE PARALLEL SAFE AS $$
    SELECT m.contact_id, m.home_id, m.number, m.message_id, m.event_time, m.kind NOT IN ('message', 'reaction'), m.counted,
        sluice_core.is_counted(
            m.kind, m.dropped, m.block_start, starts[m.number], effects[m.number], broadcasts[m.number], reactions[m.number],
            u.channel_id IS NULL
        )
    FROM (
        -- Each half has an index of messages.
        SELECT i.contact_id, i.home_id, m.message_id, m.kind, m.channel_id, m.event_time, m.counted, false AS dropped, m.block_start,
            width_bucket(m.event_time, starts) AS number
        FROM sluice_core.owned_identities i
        CROSS JOIN sluice_core.generations g
        JOIN sluice_core.messages m
            ON m.generation = g.generation AND m.identity_id = i.identity_id AND m.workspace_id = i.workspace_id
        WHERE i.workspace_id = of_workspace AND i.contact_id >= first AND i.contact_id <= last
            AND m.workspace_id = of_workspace AND m.drop_reason IS NULL
            AND m.event_time >= starts[1] AND m.event_time < starts[cardinality(starts)]
        UNION ALL
        SELECT i.contact_id, i.home_id, m.message_id, m.kind, m.channel_id, m.event_time, m.counted, true, m.block_start,
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
-- now; whether it is being counted again, how many single contacts are, and
-- how many late facts are not adjusted yet. No row: there is no such workspace.
CREATE FUNCTION sluice.verify_workspace(of_workspace text)
RETURNS TABLE (first_message_at timestamptz, has_cycles boolean, counted_again boolean, contacts_again bigint, late_facts bigint)
LANGUAGE sql STABLE SECURITY DEFINER SET search_path = pg_catalog AS $$
    SELECT w.first_message_at, coalesce(w.cycles_from <= w.first_message_at, false),
        EXISTS (SELECT FROM sluice_core.pending_work p WHERE p.workspace_id = of_workspace AND p.kind = 'count again'),
        (SELECT count(*) FROM sluice_core.pending_work p WHERE p.workspace_id = of_workspace AND p.kind = 'count a contact again'),
        (SELECT count(*) FROM sluice_core.late_facts l WHERE l.workspace_id = of_workspace)
    FROM sluice_core.workspaces w WHERE w.workspace_id = of_workspace
$$;

-- Every cycle that any of the tables that count knows; without a row of mac_cycles its status is null. From start to start by index: a
-- cycle may have ten million rows. Quarters of a cycle that was divided again stay for a while, and come to nothing.
CREATE FUNCTION sluice.verify_cycles(of_workspace text)
RETURNS TABLE (cycle_start timestamptz, status text, closes_at timestamptz)
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
    SELECT k.cycle_start, c.status, c.closes_at FROM (
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
    LEFT JOIN sluice_core.mac_cycles c ON c.workspace_id = of_workspace AND c.cycle_start = k.cycle_start
    WHERE k.cycle_start IS NOT NULL ORDER BY k.cycle_start
$$;

-- The figures of one cycle. `contacts`: its rows of mac_contacts; `shards`: the sum of its shards. Without a row of mac_cycles the
-- status is null.
CREATE FUNCTION sluice.verify_figures(of_workspace text, of_cycle timestamptz)
RETURNS TABLE (
    cycle_end timestamptz, status text, closed_at timestamptz, closed_contacts bigint, contacts bigint, shards bigint, adjustments bigint
)
LANGUAGE sql STABLE SECURITY DEFINER SET search_path = pg_catalog AS $$
    SELECT c.cycle_end, c.status, c.closed_at, c.closed_contacts,
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
-- that should, or the count of a closed cycle with its adjustments; 'message' a message whose column `counted` is wrong.
--
-- Rows of contacts that were ever merged are left to verify_homes. Contacts that are counted again, and late facts that are not
-- adjusted yet, are no differences.
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
    closed boolean[] := ARRAY(
        SELECT coalesce(c.status = 'closed', false) FROM unnest(of_starts) WITH ORDINALITY AS s (start, number)
        LEFT JOIN mac_cycles c ON c.workspace_id = of_workspace AND c.cycle_start = s.start ORDER BY s.number
    );
    undecided uuid[] := ARRAY(
        SELECT coalesce(present(of_workspace, w.subject::uuid), w.subject::uuid) FROM pending_work w
        WHERE w.workspace_id = of_workspace AND w.kind = 'count a contact again'
    );
BEGIN
    RETURN QUERY
    WITH compared AS (
        SELECT coalesce(j.contact_id, p.contact_id) AS contact_id, coalesce(j.number, p.number) AS number,
            bool_or(p.first_message_id IS NOT NULL) AS stored, coalesce(max(p.adjusted), 0) AS adjusted,
            coalesce(bool_or(j.counts), false) AS active,
            coalesce(bool_or(j.message_id = p.first_message_id AND CASE
                WHEN closed[p.number] AND j.may_move THEN j.event_time <= p.first_counted_at
                ELSE j.event_time = p.first_counted_at AND (j.counts OR closed[p.number])
            END), false) AS proven,
            coalesce(bool_or(j.counts AND (
                p.first_message_id IS NULL OR (j.event_time, j.message_id) < (p.first_counted_at, p.first_message_id)
            )), false) AS earlier,
            coalesce(bool_or(j.counts <> j.stored), false) AS marked
        FROM judged_again(of_workspace, first, last, of_starts, effects, broadcasts, reactions) AS j
        FULL JOIN (
            SELECT coalesce(m.contact_id, a.contact_id) AS contact_id,
                width_bucket(coalesce(m.cycle_start, a.cycle_start), of_starts) AS number, m.first_counted_at, m.first_message_id, a.adjusted
            FROM (
                SELECT m.* FROM mac_contacts m
                WHERE m.workspace_id = of_workspace AND m.cycle_start = ANY (cycles) AND m.contact_id >= first AND m.contact_id <= last
            ) AS m
            FULL JOIN (
                SELECT a.cycle_start, a.contact_id, sum(a.amount) AS adjusted FROM mac_adjustments a
                WHERE a.workspace_id = of_workspace AND a.cycle_start = ANY (cycles) AND a.contact_id >= first AND a.contact_id <= last
                GROUP BY a.cycle_start, a.contact_id
            ) AS a ON a.cycle_start = m.cycle_start AND a.contact_id = m.contact_id
        ) AS p ON p.contact_id = j.contact_id AND p.number = j.number
        GROUP BY 1, 2
    ), different AS MATERIALIZED (
        SELECT c.*, c.stored AND NOT c.proven AS unproven, CASE
            WHEN closed[c.number] THEN c.stored::int + c.adjusted <> c.active::int
            ELSE c.stored AND NOT c.proven OR c.earlier
        END AND NOT EXISTS (
            SELECT FROM merges r WHERE r.workspace_id = of_workspace AND r.survivor_id = c.contact_id
            UNION ALL SELECT FROM merges r WHERE r.workspace_id = of_workspace AND r.loser_id = c.contact_id
        ) AND NOT EXISTS (
            SELECT FROM late_facts l
            WHERE l.workspace_id = of_workspace AND l.cycle_start = of_starts[c.number] AND l.contact_id = c.contact_id
        ) AS counted_wrong
        FROM compared c
        WHERE c.contact_id <> ALL (undecided) AND (
            c.marked OR c.stored AND NOT c.proven OR CASE
                WHEN closed[c.number] THEN c.stored::int + c.adjusted <> c.active::int ELSE c.earlier
            END
        )
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
        WHERE d.counted_wrong AND NOT closed[d.number]
        UNION ALL
        SELECT 'contact', format('%s, adjusted by %s', d.stored::int, d.adjusted), d.active::int::text
        WHERE d.counted_wrong AND closed[d.number]
        UNION ALL
        -- The message that proves a closed count may be another contact's since, or count no more, but it is there.
        SELECT 'contact', named_proof(p.first_message_id, p.first_counted_at), 'the proof is no such message'
        FROM mac_contacts p
        WHERE d.unproven AND closed[d.number] AND p.workspace_id = of_workspace AND p.cycle_start = of_starts[d.number]
            AND p.contact_id = d.contact_id
            AND NOT EXISTS (
                SELECT FROM generations g
                JOIN messages m ON m.generation = g.generation AND m.message_id = p.first_message_id AND m.workspace_id = of_workspace
                WHERE m.event_time = p.first_counted_at
                    OR m.event_time < p.first_counted_at AND m.kind NOT IN ('message', 'reaction')
            )
        UNION ALL
        (SELECT 'message', format('%s %s', j.message_id, counts_or_not(j.stored)), format('%s %s', j.message_id, counts_or_not(j.counts))
        FROM judged_again(of_workspace, d.contact_id, d.contact_id, of_starts, effects, broadcasts, reactions) AS j
        WHERE d.marked AND j.number = d.number AND j.counts <> j.stored ORDER BY j.event_time, j.message_id LIMIT most)
    ) AS w
    LIMIT most;
END $$;

-- All merges of a workspace, in the order in which they were applied.
CREATE FUNCTION sluice.verify_merges(of_workspace text)
RETURNS TABLE (
    survivor_id uuid, loser_id uuid, merged_at timestamptz, recorded_at timestamptz, undone_at timestamptz, undo_recorded_at timestamptz
) LANGUAGE sql STABLE SECURITY DEFINER SET search_path = pg_catalog AS $$
    SELECT r.survivor_id, r.loser_id, r.merged_at, r.recorded_at, r.undone_at, r.undo_recorded_at
    FROM sluice_core.merges r WHERE r.workspace_id = of_workspace ORDER BY r.number
$$;

-- What contacts that were merged come to, each for itself: `at` and `message_id` are its earliest message that counts in a cycle, of
-- addresses that were its own first, `first_counted_at` and `first_message_id` its row, `adjusted` the sum of its adjustments.
-- `home_lost`: it was deleted, and whose its addresses were before merges is not known any more. `not_final`: it is being counted
-- again, or has late facts that are not adjusted yet. A row for each cycle with a message, row or adjustment.
CREATE FUNCTION sluice.verify_homes(of_workspace text, of_starts timestamptz[], contacts uuid[])
RETURNS TABLE (
    cycle_start timestamptz, status text, closes_at timestamptz, contact_id uuid, at timestamptz, message_id uuid, home_lost boolean,
    first_counted_at timestamptz, first_message_id uuid, adjusted bigint, not_final boolean
)
LANGUAGE plpgsql STABLE SECURITY DEFINER SET search_path = sluice_core, pg_temp SET plan_cache_mode = force_custom_plan AS $$
#variable_conflict use_column
DECLARE
    effects text[] := held_in_cycles(of_workspace, 'mac_block_effect', 'next_cycle', of_starts);
    broadcasts boolean[] := held_in_cycles(of_workspace, 'count_broadcasts', 'true', of_starts)::boolean[];
    reactions boolean[] := held_in_cycles(of_workspace, 'count_reactions', 'true', of_starts)::boolean[];
    cycles timestamptz[] := of_starts[:cardinality(of_starts) - 1];
BEGIN
    RETURN QUERY
    SELECT of_starts[k.number], c.status, c.closes_at, k.contact_id, k.at, k.message_id, k.home_lost, p.first_counted_at, p.first_message_id,
        coalesce(a.adjusted, 0),
        EXISTS (
            SELECT FROM late_facts l
            WHERE l.workspace_id = of_workspace AND l.cycle_start = of_starts[k.number] AND l.contact_id = k.contact_id
        ) OR EXISTS (
            SELECT FROM pending_work w
            WHERE w.workspace_id = of_workspace AND w.kind = 'count a contact again' AND w.subject = k.contact_id::text
        )
    FROM (
        SELECT x.contact_id, x.number, min(x.at) AS at, (array_agg(x.message_id ORDER BY x.at, x.message_id))[1] AS message_id,
            bool_or(x.home_lost) AS home_lost
        FROM (
            SELECT coalesce(j.home_id, j.contact_id) AS contact_id, j.number, CASE WHEN j.counts THEN j.event_time END AS at,
                CASE WHEN j.counts THEN j.message_id END AS message_id, j.home_id IS NULL AS home_lost
            FROM unnest(contacts) AS o (contact_id)
            CROSS JOIN LATERAL judged_again(of_workspace, o.contact_id, o.contact_id, of_starts, effects, broadcasts, reactions) AS j
            UNION ALL
            SELECT m.contact_id, width_bucket(m.cycle_start, of_starts), NULL, NULL, false FROM mac_contacts m
            WHERE m.workspace_id = of_workspace AND m.cycle_start = ANY (cycles) AND m.contact_id = ANY (contacts)
            UNION ALL
            SELECT a.contact_id, width_bucket(a.cycle_start, of_starts), NULL, NULL, false FROM mac_adjustments a
            WHERE a.workspace_id = of_workspace AND a.cycle_start = ANY (cycles) AND a.contact_id = ANY (contacts)
        ) AS x
        GROUP BY x.contact_id, x.number
    ) AS k
    LEFT JOIN mac_cycles c ON c.workspace_id = of_workspace AND c.cycle_start = of_starts[k.number]
    LEFT JOIN mac_contacts p
        ON p.workspace_id = of_workspace AND p.cycle_start = of_starts[k.number] AND p.contact_id = k.contact_id
    LEFT JOIN LATERAL (
        SELECT sum(a.amount) AS adjusted FROM mac_adjustments a
        WHERE a.workspace_id = of_workspace AND a.cycle_start = of_starts[k.number] AND a.contact_id = k.contact_id
    ) AS a ON true
    ORDER BY k.number, k.contact_id;
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

REVOKE ALL ON FUNCTION sluice.verify_workspace(text), sluice.verify_cycles(text), sluice.verify_figures(text, timestamptz),
    sluice.verify_quarters(text, timestamptz, int), sluice.verify_contacts(text, timestamptz[], uuid, uuid, int),
    sluice.verify_until(text, uuid, timestamptz[], int), sluice.verify_merges(text), sluice.verify_homes(text, timestamptz[], uuid[])
    FROM PUBLIC;
GRANT EXECUTE ON FUNCTION sluice.verify_workspace(text), sluice.verify_cycles(text), sluice.verify_figures(text, timestamptz),
    sluice.verify_quarters(text, timestamptz, int), sluice.verify_contacts(text, timestamptz[], uuid, uuid, int),
    sluice.verify_until(text, uuid, timestamptz[], int), sluice.verify_merges(text), sluice.verify_homes(text, timestamptz[], uuid[])
    TO sluice_worker, sluice_reader, sluice_billing;

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
