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
