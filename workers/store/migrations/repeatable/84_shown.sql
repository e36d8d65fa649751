-- What somebody is told who decides about one hold or asks about one run, beyond the columns of the views. With their
-- owner's rights.

-- Keys of grounds, each as an object: its code, the status or company that has it, and the name of the company.
CREATE FUNCTION sluice_core.grounds_told(of_workspace text, keys text[]) RETURNS json
LANGUAGE sql STABLE SET search_path = sluice_core, pg_temp AS $$
    SELECT coalesce(json_agg(json_build_object('code', k.code, 'of', k.of, 'name', o.name) ORDER BY k.key), '[]')
    FROM (
        SELECT key, split_part(key, ':', 1) AS code, nullif(substr(key, strpos(key || ':', ':') + 1), '') AS of FROM unnest(keys) AS key
    ) AS k
    LEFT JOIN companies o ON k.code = 'company_protected' AND o.workspace_id = of_workspace AND o.company_id = k.of
$$;

-- A send beyond the columns of `sends`; of a deleted contact without address and content. `next_attempt_at`: it failed,
-- and another attempt follows then.
CREATE FUNCTION sluice.send_details(of_workspace text, of_send uuid)
RETURNS TABLE (
    address text, channel_id text, content json, source text, run_id text, step_id text, requested_by text, requested_role text,
    requested_at timestamptz, next_attempt_at timestamptz
)
LANGUAGE sql STABLE SECURITY DEFINER SET search_path = sluice_core, pg_temp SET plan_cache_mode = auto AS $$
    SELECT CASE WHEN c.known THEN s.address END, s.channel_id, CASE WHEN c.known THEN s.content ELSE '{}' END, s.source, s.run_id,
        s.step_id, s.requested_by, s.requested_role, s.requested_at, s.retry_at
    FROM sends s
    CROSS JOIN LATERAL (
        SELECT s.contact_id IS NULL OR EXISTS (
            SELECT FROM living_contacts l WHERE l.workspace_id = s.workspace_id AND l.contact_id = s.contact_id
        ) AS known
    ) AS c
    WHERE s.workspace_id = of_workspace AND s.send_id = of_send
$$;

-- The protections that a hold shows, those that came since, and why confirming it would refuse it now.
CREATE FUNCTION sluice.hold_details(of_workspace text, of_send uuid)
RETURNS TABLE (shown_grounds json, new_grounds json, refusals text[])
LANGUAGE sql STABLE SECURITY DEFINER SET search_path = sluice_core, pg_temp SET plan_cache_mode = auto AS $$
    SELECT grounds_told(s.workspace_id, s.reason_keys),
        grounds_told(s.workspace_id, ARRAY(
            SELECT DISTINCT g.key FROM open_grounds g
            WHERE g.workspace_id = s.workspace_id AND g.send_id = s.send_id AND g.key <> ALL (s.reason_keys)
        )),
        refusals(
            s.workspace_id, array_remove(ARRAY[coalesce(present(s.workspace_id, s.contact_id), s.contact_id), i.contact_id], NULL),
            s.requested_at, coalesce(i.opted_out, false) OR opted_out_by_hash(s.workspace_id, s.address_hashes),
            EXISTS (SELECT FROM stopped_runs r WHERE r.workspace_id = s.workspace_id AND r.run_id = s.run_id),
            ARRAY[CASE WHEN num_nulls(s.scope, s.lookup, s.address) > 0 THEN 'contact_must_initiate'
                ELSE channel_obstacle(s.channel, s.lookup, s.understood, i.connected_at) END],
            blocked_by_hash(s.workspace_id, s.address_hashes, s.requested_at)
        )
    FROM sends s
    LEFT JOIN identities i ON i.workspace_id = s.workspace_id AND i.channel = s.channel AND i.scope = s.scope
        AND i.lookup = s.lookup AND i.ended_at IS NULL
    WHERE s.workspace_id = of_workspace AND s.send_id = of_send AND s.status = 'held'
$$;

REVOKE ALL ON FUNCTION sluice.send_details(text, uuid), sluice.hold_details(text, uuid) FROM PUBLIC;
GRANT EXECUTE ON FUNCTION sluice.send_details(text, uuid), sluice.hold_details(text, uuid) TO sluice_worker, sluice_reader;

-- A run beyond the columns of `workflow_runs`. `ended_at`: when it was halted or refused, and `step_id` the step that did.
-- `blocked_at` to `unblocked_at`: the block of its contact that lay on that moment. `cut_at`: its contact was merged away
-- or deleted. `children` and `held_steps`: JSON, the first hundred of each.
CREATE FUNCTION sluice.run_details(of_workspace text, of_run text)
RETURNS TABLE (
    parent_run_id text, started_at timestamptz, finished_at timestamptz, outcome text, ended_at timestamptz, step_id text,
    blocked_at timestamptz, blocked_by text, unblocked_at timestamptz, cut_at timestamptz, children json, held_steps json
)
LANGUAGE sql STABLE SECURITY DEFINER SET search_path = sluice_core, pg_temp SET plan_cache_mode = auto AS $$
    SELECT r.parent_run_id, r.started_at, r.finished_at, r.outcome, r.halted_at, r.halted_by, b.issued_at, b.actor_id, (
        SELECT u.issued_at FROM block_commands u
        WHERE u.workspace_id = r.workspace_id AND u.contact_id = r.contact_id AND u.unblocks AND u.issued_at > b.issued_at
        ORDER BY u.issued_at LIMIT 1
    ), r.cut_at, (
        SELECT coalesce(json_agg(json_build_object('run_id', v.run_id, 'workflow_id', v.workflow_id, 'state', v.state,
            'reason', v.reason) ORDER BY v.run_id), '[]')
        FROM (
            SELECT c.run_id FROM workflow_runs c
            WHERE c.workspace_id = r.workspace_id AND c.parent_run_id = r.run_id ORDER BY c.run_id LIMIT 100
        ) AS c
        CROSS JOIN LATERAL (
            SELECT * FROM sluice.workflow_runs v WHERE v.workspace_id = r.workspace_id AND v.run_id = c.run_id OFFSET 0
        ) AS v
    ), (
        SELECT coalesce(json_agg(json_build_object('step_id', s.step_id, 'send_id', s.send_id, 'reasons', h.reasons,
            'expires_at', h.expires_at) ORDER BY h.held_at, s.send_id), '[]')
        FROM (
            -- As a range, which PostgreSQL takes for a small one.
            SELECT s.send_id, s.step_id FROM sends s
            WHERE s.workspace_id = r.workspace_id AND s.run_id >= r.run_id AND s.run_id <= r.run_id AND s.status = 'held'
            ORDER BY s.send_id LIMIT 100
        ) AS s
        CROSS JOIN LATERAL (
            SELECT * FROM sluice.held_sends h WHERE h.workspace_id = r.workspace_id AND h.send_id = s.send_id OFFSET 0
        ) AS h
    )
    FROM workflow_runs r
    LEFT JOIN LATERAL (
        SELECT b.issued_at, b.actor_id FROM block_commands b
        WHERE b.workspace_id = r.workspace_id AND b.contact_id = r.contact_id AND NOT b.unblocks AND b.issued_at <= r.halted_at
            AND b.issued_at >= coalesce((
                SELECT u.issued_at FROM block_commands u
                WHERE u.workspace_id = r.workspace_id AND u.contact_id = r.contact_id AND u.unblocks AND u.issued_at <= r.halted_at
                ORDER BY u.issued_at DESC LIMIT 1
            ), '-infinity')
        ORDER BY b.issued_at, b.command_id LIMIT 1
    ) AS b ON true
    WHERE r.workspace_id = of_workspace AND r.run_id = of_run
$$;

-- Runs of a contact, those that started last on top; with a state only those. 1,000 at most.
CREATE FUNCTION sluice.contact_runs(of_workspace text, of_contact uuid, of_state text, n integer)
RETURNS TABLE (
    workspace_id text, run_id text, workflow_id text, contact_id uuid, trigger text, state text, reason text, started_at timestamptz
)
LANGUAGE sql STABLE SECURITY DEFINER SET search_path = sluice_core, pg_temp SET plan_cache_mode = auto AS $$
    SELECT v.*, r.started_at FROM sluice.workflow_runs v
    JOIN workflow_runs r ON r.workspace_id = v.workspace_id AND r.run_id = v.run_id
    WHERE v.workspace_id = of_workspace AND v.contact_id = present(of_workspace, of_contact) AND (of_state IS NULL OR v.state = of_state)
    ORDER BY r.started_at DESC, r.run_id DESC LIMIT least(greatest(n, 0), 1000)
$$;

REVOKE ALL ON FUNCTION sluice.run_details(text, text), sluice.contact_runs(text, uuid, text, integer) FROM PUBLIC;
GRANT EXECUTE ON FUNCTION sluice.run_details(text, text), sluice.contact_runs(text, uuid, text, integer) TO sluice_worker, sluice_reader;
