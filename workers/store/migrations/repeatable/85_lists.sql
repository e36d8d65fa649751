-- Lists by time that a view cannot read by page, with their owner's rights: null `before` is the first page, and the last row of a
-- page leads to the next one; 1,000 rows at most.

-- Sends, those that changed last on top; with a status only those. The index has them by status: of each it reads a page.
CREATE FUNCTION sluice.sends_page(of_workspace text, of_status text, before timestamptz, before_id uuid, n integer)
RETURNS TABLE (
    workspace_id text, send_id uuid, group_id text, contact_id uuid, channel text, status text, reason text, attempt integer,
    updated_at timestamptz
)
LANGUAGE sql STABLE SECURITY DEFINER SET search_path = sluice_core, pg_temp SET enable_sort = off SET enable_seqscan = off
    SET plan_cache_mode = auto AS $$
    WITH RECURSIVE known AS (
        SELECT coalesce(of_status, (SELECT min(s.status) FROM sends s WHERE s.workspace_id = of_workspace)) AS status
        UNION ALL
        SELECT (SELECT min(s.status) FROM sends s WHERE s.workspace_id = of_workspace AND s.status > k.status)
        FROM known k WHERE of_status IS NULL AND k.status IS NOT NULL
    ), found AS (
        SELECT f.send_id, f.updated_at FROM known k
        CROSS JOIN LATERAL (
            SELECT s.send_id, s.updated_at FROM sends s
            WHERE s.workspace_id = of_workspace AND s.status = k.status AND (s.updated_at, s.send_id)
                < (coalesce(before, 'infinity'), coalesce(before_id, '00000000-0000-0000-0000-000000000000'))
            ORDER BY s.updated_at DESC, s.send_id DESC LIMIT least(greatest(n, 0), 1000)
        ) AS f
        ORDER BY f.updated_at DESC, f.send_id DESC LIMIT least(greatest(n, 0), 1000)
    )
    SELECT s.* FROM found f
    CROSS JOIN LATERAL (
        SELECT s.* FROM sluice.sends s WHERE s.workspace_id = of_workspace AND s.send_id = f.send_id OFFSET 0
    ) AS s
    ORDER BY s.updated_at DESC, s.send_id DESC
$$;

-- Runs, those that started last on top.
CREATE FUNCTION sluice.runs_page(of_workspace text, before timestamptz, before_id text, n integer)
RETURNS TABLE (
    workspace_id text, run_id text, workflow_id text, contact_id uuid, trigger text, state text, reason text, started_at timestamptz
)
LANGUAGE sql STABLE SECURITY DEFINER SET search_path = sluice_core, pg_temp SET enable_sort = off SET enable_seqscan = off
    SET plan_cache_mode = auto AS $$
    SELECT r.*, f.started_at FROM (
        SELECT r.run_id, r.started_at FROM workflow_runs r
        WHERE r.workspace_id || '' = of_workspace
            AND (r.started_at, r.run_id) < (coalesce(before, 'infinity'), coalesce(before_id, ''))
        ORDER BY r.started_at DESC, r.run_id DESC LIMIT least(greatest(n, 0), 1000)
    ) AS f
    CROSS JOIN LATERAL (
        SELECT r.* FROM sluice.workflow_runs r WHERE r.workspace_id = of_workspace AND r.run_id = f.run_id OFFSET 0
    ) AS r
    ORDER BY f.started_at DESC, f.run_id DESC
$$;

-- Dropped messages, the latest on top: the columns of drop_ledger.
CREATE FUNCTION sluice.drops_page(of_workspace text, before timestamptz, before_id uuid, n integer)
RETURNS TABLE (
    workspace_id text, contact_id uuid, message_id uuid, channel text, event_time timestamptz, reason text, rule text,
    counted boolean, decided_at timestamptz
)
LANGUAGE sql STABLE SECURITY DEFINER SET search_path = sluice_core, pg_temp SET enable_sort = off SET enable_seqscan = off
    SET plan_cache_mode = auto AS $$
    SELECT m.workspace_id, i.contact_id, m.message_id, m.channel, m.event_time, m.drop_reason, m.mac_rule, m.counted, m.decided_at
    FROM (
        SELECT m.* FROM messages m
        WHERE m.workspace_id || '' = of_workspace AND m.drop_reason IS NOT NULL AND (m.event_time, m.message_id)
            < (coalesce(before, 'infinity'), coalesce(before_id, '00000000-0000-0000-0000-000000000000'))
        ORDER BY m.event_time DESC, m.message_id DESC LIMIT least(greatest(n, 0), 1000)
    ) AS m
    CROSS JOIN LATERAL (
        SELECT i.contact_id FROM owned_identities i
        WHERE i.workspace_id = m.workspace_id AND i.identity_id = m.identity_id LIMIT 1
    ) AS i
    ORDER BY m.event_time DESC, m.message_id DESC
$$;

-- Contacts that count in a cycle, those that were counted last on top: the columns of mac_contacts.
CREATE FUNCTION sluice.counted_page(of_workspace text, of_cycle timestamptz, before timestamptz, before_id uuid, n integer)
RETURNS TABLE (
    workspace_id text, cycle_start timestamptz, contact_id uuid, first_message_id uuid, first_counted_at timestamptz
)
LANGUAGE sql STABLE SECURITY DEFINER SET search_path = sluice_core, pg_temp SET enable_sort = off SET enable_seqscan = off
    SET plan_cache_mode = auto AS $$
    SELECT m.workspace_id, m.cycle_start, m.contact_id, m.first_message_id, m.first_counted_at FROM mac_contacts m
    WHERE m.workspace_id || '' = of_workspace AND m.cycle_start = of_cycle AND (m.first_counted_at, m.contact_id)
        < (coalesce(before, 'infinity'), coalesce(before_id, '00000000-0000-0000-0000-000000000000'))
    ORDER BY m.first_counted_at DESC, m.contact_id DESC LIMIT least(greatest(n, 0), 1000)
$$;

-- Contacts by name: the columns of contact_list. Those without a name come last, and null `after` goes on among them.
CREATE FUNCTION sluice.contacts_by_name(of_workspace text, after text, after_id uuid, n integer)
RETURNS TABLE (
    workspace_id text, contact_id uuid, display_name text, avatar_url text, first_name text, last_name text, country text,
    language text, email text, phone text, assignee text, conversation_status text, profile_id text, tags text[], custom jsonb,
    blocked boolean
)
LANGUAGE plpgsql STABLE SECURITY DEFINER SET search_path = sluice_core, pg_temp SET plan_cache_mode = force_custom_plan AS $$
#variable_conflict use_column
DECLARE
    most integer := least(greatest(n, 0), 1000);
    found uuid[] := '{}';
BEGIN
    IF after IS NOT NULL OR after_id IS NULL THEN
        found := ARRAY(
            SELECT l.contact_id FROM sluice.contact_list l
            WHERE l.workspace_id = of_workspace AND (l.display_name, l.contact_id)
                > (coalesce(after, ''), coalesce(after_id, '00000000-0000-0000-0000-000000000000'))
            ORDER BY l.display_name, l.contact_id LIMIT most
        );
    END IF;
    IF cardinality(found) < most THEN
        found := found || ARRAY(
            SELECT l.contact_id FROM sluice.contact_list l
            WHERE l.workspace_id = of_workspace AND l.display_name IS NULL
                AND l.contact_id > coalesce(CASE WHEN after IS NULL THEN after_id END, '00000000-0000-0000-0000-000000000000')
            ORDER BY l.display_name, l.contact_id LIMIT most - cardinality(found)
        );
    END IF;
    RETURN QUERY SELECT l.* FROM unnest(found) WITH ORDINALITY AS f (contact_id, place)
    CROSS JOIN LATERAL (
        SELECT l.* FROM sluice.contact_list l WHERE l.workspace_id = of_workspace AND l.contact_id = f.contact_id LIMIT 1
    ) AS l
    ORDER BY f.place;
END $$;

-- The inbox, those with the newest message on top: the columns of inbox. With a status or an assignee only those. Who has no message
-- comes last, and null `before` goes on among them.
CREATE FUNCTION sluice.inbox_page(
    of_workspace text, of_status text, of_assignee text, before timestamptz, before_id uuid, n integer
)
RETURNS TABLE (
    workspace_id text, contact_id uuid, status text, assignee text, last_message_at timestamptz, last_direction text,
    snoozed_until timestamptz
)
LANGUAGE plpgsql STABLE SECURITY DEFINER SET search_path = sluice_core, pg_temp SET enable_sort = off SET enable_seqscan = off
    SET plan_cache_mode = force_custom_plan AS $$
#variable_conflict use_column
DECLARE
    most integer := least(greatest(n, 0), 1000);
    statuses text[] := CASE WHEN of_status IS NULL THEN ARRAY['open', 'closed', 'snoozed', 'blocked'] ELSE ARRAY[of_status] END;
    start_time timestamptz := coalesce(before, 'infinity');
    start_id uuid := coalesce(before_id, '00000000-0000-0000-0000-000000000000');
    dated boolean := before IS NOT NULL OR before_id IS NULL;
    last_id uuid := coalesce(CASE WHEN before IS NULL THEN before_id END, 'ffffffff-ffff-ffff-ffff-ffffffffffff');
BEGIN
    -- Of each status a page, from the index of its order; of the last ones as well, because few pages end there.
    RETURN QUERY SELECT r.* FROM unnest(statuses) AS k (status)
    CROSS JOIN LATERAL (
        (
            SELECT r.* FROM sluice.inbox r
            WHERE dated AND of_assignee IS NULL AND r.workspace_id = of_workspace AND r.status = k.status
                AND (r.last_message_at, r.contact_id) < (start_time, start_id)
            ORDER BY r.last_message_at DESC, r.contact_id DESC LIMIT most
        )
        UNION ALL
        (
            SELECT r.* FROM sluice.inbox r
            WHERE dated AND r.assignee = of_assignee AND r.workspace_id = of_workspace AND r.status = k.status
                AND (r.last_message_at, r.contact_id) < (start_time, start_id)
            ORDER BY r.last_message_at DESC, r.contact_id DESC LIMIT most
        )
        UNION ALL
        (
            SELECT r.* FROM sluice.inbox r
            WHERE of_assignee IS NULL AND r.workspace_id = of_workspace AND r.status = k.status AND r.last_message_at IS NULL
                AND r.contact_id < last_id
            ORDER BY r.last_message_at DESC, r.contact_id DESC LIMIT most
        )
        UNION ALL
        (
            SELECT r.* FROM sluice.inbox r
            WHERE r.assignee = of_assignee AND r.workspace_id = of_workspace AND r.status = k.status AND r.last_message_at IS NULL
                AND r.contact_id < last_id
            ORDER BY r.last_message_at DESC, r.contact_id DESC LIMIT most
        )
    ) AS r
    ORDER BY r.last_message_at DESC NULLS LAST, r.contact_id DESC LIMIT most;
END $$;

REVOKE ALL ON FUNCTION sluice.drops_page(text, timestamptz, uuid, integer), sluice.sends_page(text, text, timestamptz, uuid, integer),
    sluice.runs_page(text, timestamptz, text, integer), sluice.counted_page(text, timestamptz, timestamptz, uuid, integer) FROM PUBLIC;
GRANT EXECUTE ON FUNCTION sluice.drops_page(text, timestamptz, uuid, integer), sluice.sends_page(text, text, timestamptz, uuid, integer),
    sluice.runs_page(text, timestamptz, text, integer), sluice.counted_page(text, timestamptz, timestamptz, uuid, integer)
    TO sluice_worker, sluice_reader;
GRANT EXECUTE ON FUNCTION sluice.counted_page(text, timestamptz, timestamptz, uuid, integer) TO sluice_billing;
REVOKE ALL ON FUNCTION sluice.contacts_by_name(text, text, uuid, integer),
    sluice.inbox_page(text, text, text, timestamptz, uuid, integer) FROM PUBLIC;
GRANT EXECUTE ON FUNCTION sluice.contacts_by_name(text, text, uuid, integer),
    sluice.inbox_page(text, text, text, timestamptz, uuid, integer) TO sluice_worker, sluice_reader;
