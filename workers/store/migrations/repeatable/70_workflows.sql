-- Workflow runs. The end of a run, or of a contact's runs, that reaches very many is stored in steps; until then it
-- holds by the rule.

-- Workspaces where steps are left that end runs.
CREATE VIEW sluice_core.workspaces_behind AS
SELECT workspace_id FROM sluice_core.pending_work WHERE kind IN ('halt runs', 'halt children');

-- Contacts that went away with more runs than a transaction halts: of those that were known by then the steps halt each.
CREATE VIEW sluice_core.cuts_left AS
SELECT workspace_id, subject AS contact, number, (details -> 'cut' ->> 0)::timestamptz AS cut_at, details -> 'cut' ->> 1 AS cut_reason,
    (details ->> 'known_before')::timestamptz AS known_before
FROM sluice_core.pending_work WHERE kind = 'halt runs' AND details -> 'cut' IS NOT NULL;

-- The state of a run by its events, its contact's block history (`known`: there is such a contact, with these blocks in
-- its row) and its parent's end; `at` is when it ended. The same as `judge` in workers/rules/workflows.py. PostgreSQL
-- takes a function of this kind apart and plans it with the query around it: it must stay one SELECT, without SET.
-- OFFSET 0 keeps what is named once from being computed wherever its name stands.
CREATE FUNCTION sluice_core.run_end(
    run sluice_core.workflow_runs, trigger text, parent_at timestamptz, parent_reason text,
    known boolean, blocks tstzrange[], blocks_since timestamptz
) RETURNS TABLE (state text, reason text, at timestamptz) LANGUAGE sql STABLE ROWS 1 AS $$
    SELECT
        CASE
            WHEN e.kept THEN (run).state
            WHEN e.refused THEN 'refused'
            WHEN e.halted_at IS NOT NULL THEN 'halted'
            WHEN (run).finished_at IS NOT NULL THEN 'finished'
            ELSE 'running'
        END,
        CASE
            WHEN e.kept THEN (run).reason
            WHEN (run).contact_id IS NULL THEN 'unknown_contact'
            WHEN e.held IS NOT NULL AND trigger = 'automatic' THEN 'contact_blocked'
            WHEN e.refused THEN parent_reason
            WHEN e.block_at = e.halted_at THEN 'contact_blocked'
            WHEN e.step_at = e.halted_at THEN 'blocked_contact_step'
            WHEN e.above_at = e.halted_at THEN parent_reason
            WHEN e.cut_at = e.halted_at THEN (run).cut_reason
        END,
        CASE
            WHEN e.kept THEN coalesce((run).halted_at, (run).finished_at)
            WHEN e.refused THEN (run).started_at
            ELSE coalesce(e.halted_at, (run).finished_at)
        END
    FROM (
        SELECT c.*, least(c.block_at, c.step_at, c.above_at, c.cut_at) AS halted_at,
            (run).contact_id IS NOT NULL AND (run).state <> 'running' AND NOT known AS kept,
            (run).contact_id IS NULL OR c.held IS NOT NULL AND trigger = 'automatic'
                OR coalesce(parent_at <= (run).started_at, false) AS refused
        FROM (
            SELECT b.held,
                CASE WHEN coalesce(b.begins < (run).finished_at, true) THEN b.begins END AS block_at,
                CASE
                    WHEN b.held IS NOT NULL AND coalesce((run).contact_step_at <= (run).finished_at, true)
                        AND CASE
                            WHEN (run).contact_step_at < blocks_since
                                THEN sluice_core.older_block((run).workspace_id, (run).contact_id, (run).contact_step_at) IS NOT NULL
                            ELSE (run).contact_step_at <@ ANY (blocks)
                        END
                    THEN (run).contact_step_at
                END AS step_at,
                CASE WHEN coalesce(parent_at < (run).finished_at, true) THEN parent_at END AS above_at,
                CASE WHEN coalesce(greatest((run).cut_at, (run).started_at) < (run).finished_at, true) AND (run).cut_at IS NOT NULL
                    THEN greatest((run).cut_at, (run).started_at)
                END AS cut_at
            FROM (
                SELECT h.held,
                    CASE
                        WHEN blocks = '{}' THEN NULL
                        WHEN (run).started_at < blocks_since THEN (
                            SELECT c.issued_at FROM sluice_core.block_commands c
                            WHERE c.workspace_id = (run).workspace_id AND c.contact_id = (run).contact_id AND NOT c.unblocks
                                AND c.issued_at > (run).started_at AND c.issued_at >= coalesce(upper(h.held), '-infinity')
                                AND (h.held IS NULL OR NOT upper_inf(h.held))
                            ORDER BY c.issued_at LIMIT 1
                        )
                        ELSE (SELECT min(lower(b)) FROM unnest(blocks) AS b WHERE lower(b) > (run).started_at)
                    END AS begins
                FROM (
                    SELECT CASE
                        WHEN blocks = '{}' THEN NULL
                        WHEN (run).started_at < blocks_since
                            THEN sluice_core.older_block((run).workspace_id, (run).contact_id, (run).started_at)
                        ELSE (SELECT b FROM unnest(blocks) AS b WHERE (run).started_at <@ b LIMIT 1)
                    END AS held
                    OFFSET 0
                ) AS h
                OFFSET 0
            ) AS b
            OFFSET 0
        ) AS c
        OFFSET 0
    ) AS e
$$;

CREATE FUNCTION sluice_core.run_verdict(
    run sluice_core.workflow_runs, trigger text, parent_at timestamptz, parent_reason text,
    OUT state text, OUT reason text, OUT at timestamptz
) LANGUAGE sql STABLE SET search_path = sluice_core, pg_temp AS $$
    SELECT e.state, e.reason, e.at FROM (SELECT (run).workspace_id, (run).contact_id) AS r
    LEFT JOIN contacts c ON c.workspace_id = r.workspace_id AND c.contact_id = r.contact_id
    CROSS JOIN LATERAL run_end(run, trigger, parent_at, parent_reason, c.contact_id IS NOT NULL, c.blocks, c.blocks_since) AS e
$$;

-- The class of a run by how long it took; null while it runs. The index of runs by contact has the same expression.
CREATE FUNCTION sluice_core.duration_class(run sluice_core.workflow_runs) RETURNS integer
LANGUAGE sql IMMUTABLE PARALLEL SAFE AS $$
    SELECT width_bucket(coalesce((run).halted_at, (run).finished_at) - (run).started_at,
        '{1 s,10 s,100 s,20 m,3 h,24 h,240 h,2400 h,24000 h}'::interval[])
$$;

-- The next `most` runs (null: all) of a contact that were alive before `until` (null: whenever) and had not ended by the
-- time where the caller begins. First those that have ended, by their end; then those that run, by their start. A caller
-- begins after (false, time, '') and goes on after the last place it got. It reads few other runs, however many there
-- are: in each class of durations, those that began before `until` ended before `until` and the longest of the class.
CREATE FUNCTION sluice_core.runs_alive(
    of_workspace text, of_contact uuid, until timestamptz,
    after_running boolean, after_at timestamptz, after_run text, learned_before timestamptz, most bigint
) RETURNS TABLE (running boolean, at timestamptz, run sluice_core.workflow_runs) LANGUAGE sql STABLE AS $$
    SELECT found.* FROM (
        SELECT false AS running, ended.* FROM (VALUES
            (0, interval '1 s'), (1, '10 s'), (2, '100 s'), (3, '20 m'), (4, '3 h'), (5, '24 h'), (6, '240 h'),
            (7, '2400 h'), (8, '24000 h'), (9, NULL)
        ) AS durations (class, longest)
        CROSS JOIN LATERAL (
            SELECT coalesce(r.halted_at, r.finished_at, r.started_at) AS at, r AS run FROM sluice_core.workflow_runs r
            WHERE r.workspace_id = of_workspace AND r.contact_id = of_contact
                AND sluice_core.duration_class(r) = durations.class
                AND (coalesce(r.halted_at, r.finished_at, r.started_at), r.run_id) > (after_at, after_run)
                AND coalesce(r.halted_at, r.finished_at, r.started_at) < coalesce(until + durations.longest, 'infinity')
                AND r.started_at < coalesce(until, 'infinity')
                AND (learned_before IS NULL OR r.known_at IS NULL OR r.known_at < learned_before)
            ORDER BY coalesce(r.halted_at, r.finished_at, r.started_at), r.run_id LIMIT most
        ) AS ended
        WHERE NOT after_running
        UNION ALL
        SELECT true, alive.* FROM (
            SELECT coalesce(r.halted_at, r.finished_at, r.started_at), r FROM sluice_core.workflow_runs r
            WHERE r.workspace_id = of_workspace AND r.contact_id = of_contact
                AND sluice_core.duration_class(r) IS NULL
                AND (coalesce(r.halted_at, r.finished_at, r.started_at), r.run_id)
                    > (CASE WHEN after_running THEN after_at ELSE '-infinity' END, CASE WHEN after_running THEN after_run ELSE '' END)
                AND coalesce(r.halted_at, r.finished_at, r.started_at) < coalesce(until, 'infinity')
                AND (learned_before IS NULL OR r.known_at IS NULL OR r.known_at < learned_before)
            ORDER BY coalesce(r.halted_at, r.finished_at, r.started_at), r.run_id LIMIT most
        ) AS alive
    ) AS found
    ORDER BY found.running, found.at, (found.run).run_id LIMIT most
$$;

-- What a changed block history leads to for a run: by its present history, and by what its parent is then, against what
-- it was before. That is what is stored; or, where an earlier change of the history of `changed_contact` has not
-- reached all its runs yet, what its history `before` and its parent of then make of it. `halts`: its engine must be
-- published now that it is halted. Taken apart as `run_end`.
CREATE FUNCTION sluice_core.run_change(
    run sluice_core.workflow_runs, parent_trigger text, parent_at timestamptz, parent_reason text,
    trigger_then text, parent_at_then timestamptz, parent_reason_then text, changed_contact uuid, before tstzrange[]
) RETURNS TABLE (
    trigger text, stopped_at timestamptz, stop_reason text,
    trigger_before text, stopped_before timestamptz, stop_reason_before text, changed boolean, halts boolean
) LANGUAGE sql STABLE ROWS 1 AS $$
    SELECT s.trigger, s.stopped_at, s.stop_reason, s.trigger_before, s.stopped_before, s.stop_reason_before,
        (s.trigger, s.stopped_at, s.stop_reason) IS DISTINCT FROM (s.trigger_before, s.stopped_before, s.stop_reason_before),
        s.halted AND (s.published, s.published_reason) IS DISTINCT FROM ('run_halted', s.stop_reason)
    FROM (
        SELECT coalesce(parent_trigger, (run).trigger) AS trigger, coalesce(trigger_then, (run).trigger) AS trigger_before,
            CASE WHEN now.state IN ('halted', 'refused') THEN now.at END AS stopped_at,
            CASE WHEN now.state IN ('halted', 'refused') THEN now.reason END AS stop_reason,
            now.state = 'halted' AS halted,
            CASE WHEN was.state IN ('halted', 'refused') THEN was.at END AS stopped_before,
            CASE WHEN was.state IN ('halted', 'refused') THEN was.reason END AS stop_reason_before,
            CASE WHEN before IS NOT NULL AND was.state IN ('halted', 'refused') THEN 'run_' || was.state ELSE (run).published END AS published,
            CASE WHEN before IS NOT NULL AND was.state IN ('halted', 'refused') THEN was.reason ELSE (run).published_reason END AS published_reason
        FROM (SELECT 1) AS one
        LEFT JOIN sluice_core.contacts c ON c.workspace_id = (run).workspace_id AND c.contact_id = (run).contact_id
        CROSS JOIN LATERAL sluice_core.run_end(run, coalesce(parent_trigger, (run).trigger), parent_at, parent_reason,
            c.contact_id IS NOT NULL, c.blocks, c.blocks_since) AS now
        CROSS JOIN LATERAL (
            SELECT (run).state, (run).reason, (run).halted_at AS at WHERE before IS NULL
            UNION ALL
            SELECT past.state, past.reason, past.at FROM sluice_core.run_end(run, coalesce(trigger_then, (run).trigger),
                parent_at_then, parent_reason_then, c.contact_id IS NOT NULL,
                CASE WHEN (run).contact_id = changed_contact THEN before ELSE c.blocks END, c.blocks_since) AS past
            WHERE before IS NOT NULL
        ) AS was
        OFFSET 0
    ) AS s
$$;

-- A run as it is by the rule, whatever is stored yet, with the trigger of the topmost run above it: everything above is
-- judged first. Views that readers see call it, so it runs with its owner's rights.
CREATE FUNCTION sluice_core.run_by_rule(of_workspace text, of_run text, OUT trigger text, OUT state text, OUT reason text)
LANGUAGE plpgsql STABLE SECURITY DEFINER SET search_path = sluice_core, pg_temp AS $$
DECLARE
    path text[] := ARRAY[of_run];
    above text;
    run workflow_runs;
    at timestamptz;
BEGIN
    LOOP
        SELECT r.parent_run_id INTO above FROM workflow_runs r
        WHERE r.workspace_id = of_workspace AND r.run_id = path[cardinality(path)];
        EXIT WHEN above IS NULL OR above = ANY (path);
        path := path || above;
    END LOOP;
    FOR place IN REVERSE cardinality(path)..1 LOOP
        SELECT * INTO run FROM workflow_runs r WHERE r.workspace_id = of_workspace AND r.run_id = path[place];
        CONTINUE WHEN NOT FOUND;
        IF run.state = 'running' AND run.cut_at IS NULL THEN
            SELECT c.cut_at, c.cut_reason INTO run.cut_at, run.cut_reason FROM cuts_left c
            WHERE c.workspace_id = of_workspace AND c.contact = run.contact_id::text
                AND coalesce(run.known_at < c.known_before, true)
            ORDER BY c.number LIMIT 1;
        END IF;
        trigger := coalesce(trigger, run.trigger);
        SELECT v.state, v.reason, v.at INTO state, reason, at
        FROM run_verdict(run, trigger, CASE WHEN state IN ('halted', 'refused') THEN at END, reason) AS v;
    END LOOP;
END $$;

-- Runs whose sends are refused: by what is stored, and while steps are left to do, by the rule.
CREATE VIEW sluice_core.stopped_runs AS
SELECT r.workspace_id, r.run_id FROM sluice_core.workflow_runs r
WHERE r.state IN ('halted', 'refused') OR r.published IS NOT NULL OR (
    EXISTS (SELECT FROM sluice_core.workspaces_behind b WHERE b.workspace_id = r.workspace_id)
    AND (SELECT n.state FROM sluice_core.run_by_rule(r.workspace_id, r.run_id) AS n) IN ('halted', 'refused')
);

-- By what is stored, and while steps are left to do, by the rule.
CREATE VIEW sluice.workflow_runs AS
SELECT r.workspace_id, r.run_id, r.workflow_id, r.present_id AS contact_id, n.trigger, n.state, n.reason
FROM (
    SELECT r.contact_id AS present_id, r.* FROM sluice_core.workflow_runs r
    WHERE (
        SELECT l.merged_into FROM sluice_core.living_contacts l
        WHERE l.workspace_id = r.workspace_id AND l.contact_id = r.contact_id
    ) IS NULL
    UNION ALL
    SELECT l.merged_into, r.* FROM sluice_core.living_contacts l
    JOIN sluice_core.workflow_runs r ON r.workspace_id = l.workspace_id AND r.contact_id = l.contact_id
    WHERE l.merged_into IS NOT NULL
) AS r
CROSS JOIN LATERAL (
    SELECT r.trigger, r.state, r.reason
    WHERE NOT EXISTS (SELECT FROM sluice_core.workspaces_behind b WHERE b.workspace_id = r.workspace_id)
    UNION ALL
    SELECT n.trigger, n.state, n.reason FROM sluice_core.run_by_rule(r.workspace_id, r.run_id) AS n
    WHERE EXISTS (SELECT FROM sluice_core.workspaces_behind b WHERE b.workspace_id = r.workspace_id)
) AS n;
