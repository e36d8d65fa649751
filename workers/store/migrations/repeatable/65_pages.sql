-- Pages of conversations and of the timelines of profiles.

-- A page of the timeline of some contacts: the newest messages older than (`before`, `before_id`), newest first, 1,000 at
-- most. It goes from the generation with the latest event to older ones and ends when no older one can have a message of
-- the page. So it reads a few entries of the index for each address, however many messages there are.
--
-- Each look-up asks one table for the order of one index, with those at the same time as its last row. Sorts and joins
-- that read whole tables are switched off: the planner takes them while it estimates that there are few messages, and a
-- session keeps the plan when there are many. Plans are made once: planning takes longer than reading.
CREATE FUNCTION sluice_core.timeline(
    of_workspace text, of_contacts uuid[], before timestamptz, before_id uuid, n integer
)
RETURNS TABLE (
    workspace_id text, contact_id uuid, conversation_id uuid, message_id uuid, direction text, channel text, channel_id text,
    event_time timestamptz, content json, status text, bypassed_block boolean, kind text, source text, counted boolean
)
LANGUAGE plpgsql STABLE SET search_path = sluice_core, pg_temp SET enable_sort = off SET enable_hashjoin = off
    SET enable_mergejoin = off SET plan_cache_mode = force_generic_plan AS $$
#variable_conflict use_column
DECLARE
    most integer := least(greatest(n, 0), 1000);
    start_time timestamptz := coalesce(before, 'infinity');
    start_id uuid := coalesce(before_id, '00000000-0000-0000-0000-000000000000');
    own bigint[];
    owners uuid[];
    homes uuid[];               -- whose blocks judge their messages
    members uuid[];             -- the contacts, and those that were merged into them
    behind boolean[];
    of_generation integer;
    latest timestamptz;
    found_generations integer[];
    found_places bigint[];      -- of its address among `own`
    found_ids uuid[];
    found_times timestamptz[];
BEGIN
    -- One by one: a join would compute the families of all contacts.
    SELECT array_agg(f.member_id) INTO members FROM unnest(of_contacts) AS wanted (contact_id)
    CROSS JOIN LATERAL (
        SELECT f.member_id FROM family f WHERE f.workspace_id = of_workspace AND f.contact_id = wanted.contact_id OFFSET 0
    ) AS f;
    SELECT array_agg(i.identity_id), array_agg(i.contact_id), array_agg(c.contact_id), array_agg(c.blocks <> '{}' AND EXISTS (
        SELECT FROM pending_work w
        WHERE w.workspace_id = of_workspace AND w.kind = 'revise messages' AND w.subject = c.contact_id::text
    ))
    INTO own, owners, homes, behind
    FROM unnest(members) AS wanted (contact_id)
    JOIN identities i ON i.workspace_id = of_workspace AND i.contact_id = wanted.contact_id
    JOIN contacts c ON c.workspace_id = of_workspace AND c.contact_id = coalesce(i.home_id, i.contact_id);
    FOR of_generation, latest IN
        SELECT g.generation, g.last_event FROM generations g ORDER BY g.last_event DESC, g.generation DESC
    LOOP
        EXIT WHEN most = 0 OR cardinality(found_times) = most AND found_times[most] > latest;
        SELECT array_agg(p.generation), array_agg(p.place), array_agg(p.message_id), array_agg(p.event_time)
        INTO found_generations, found_places, found_ids, found_times
        FROM (
            SELECT f.generation, f.place, f.message_id, f.event_time FROM (
                SELECT k.generation, k.place, k.message_id, k.event_time
                FROM unnest(found_generations, found_places, found_ids, found_times)
                    AS k (generation, place, message_id, event_time)
                UNION ALL
                SELECT of_generation, i.place, m.message_id, m.event_time
                FROM unnest(own, homes, behind) WITH ORDINALITY AS i (identity_id, contact_id, behind, place)
                CROSS JOIN LATERAL (
                    SELECT m.message_id, m.event_time FROM messages m
                    WHERE m.generation = of_generation AND m.identity_id = i.identity_id AND m.drop_reason IS NULL
                        AND m.event_time <= start_time AND (m.event_time, m.message_id) < (start_time, start_id)
                        AND CASE WHEN i.behind THEN NOT EXISTS (
                            SELECT FROM contacts c
                            WHERE c.workspace_id = of_workspace AND c.contact_id = i.contact_id AND to_be_dropped(
                                m.kind, m.released, c.workspace_id, c.contact_id, c.blocks, c.blocks_since, m.event_time
                            )
                        ) ELSE true END
                    ORDER BY m.event_time DESC FETCH FIRST (most) ROWS WITH TIES
                ) AS m
            ) AS f
            ORDER BY f.event_time DESC, f.message_id DESC LIMIT most
        ) AS p;
    END LOOP;
    -- Each row by the whole of its keys: so any index that leads to it is as good as another.
    RETURN QUERY SELECT t.* FROM (
        SELECT m.workspace_id, m.contact_id, m.conversation_id, m.message_id, m.direction, m.channel, m.channel_id, m.event_time,
            m.content, m.status, m.bypassed_block, m.kind, m.source, m.counted
        FROM unnest(found_generations, found_places, found_ids, found_times) AS k (generation, place, message_id, event_time)
        CROSS JOIN LATERAL (
            SELECT m.* FROM shown_messages m
            WHERE m.generation = k.generation AND m.message_id = k.message_id AND m.event_time = k.event_time
                AND m.identity_id = own[k.place] AND m.workspace_id = of_workspace AND m.contact_id = owners[k.place] OFFSET 0
        ) AS m
        UNION ALL
        SELECT s.workspace_id, s.contact_id, s.conversation_id, s.message_id, s.direction, s.channel, s.channel_id, s.event_time,
            s.content, s.status, s.bypassed_block, s.kind, s.source, s.counted
        FROM unnest(members) AS c (contact_id)
        CROSS JOIN LATERAL (
            SELECT s.send_id FROM sends s
            WHERE s.workspace_id = of_workspace AND s.contact_id = c.contact_id AND s.accepted_at IS NULL AND s.attempt > 0
                AND s.first_dispatched_at <= start_time AND (s.first_dispatched_at, s.message_id) < (start_time, start_id)
            ORDER BY s.first_dispatched_at DESC FETCH FIRST (most) ROWS WITH TIES
        ) AS k
        CROSS JOIN LATERAL (
            SELECT s.* FROM shown_sends s WHERE s.workspace_id = of_workspace AND s.send_id = k.send_id OFFSET 0
        ) AS s
        UNION ALL
        SELECT r.*
        FROM unnest(members) AS c (contact_id)
        CROSS JOIN LATERAL (
            SELECT r.written_at, r.comment_id FROM comments r
            WHERE r.workspace_id = of_workspace AND r.contact_id = c.contact_id AND r.written_at <= start_time
                AND (r.written_at, r.comment_id) < (start_time, start_id)
            ORDER BY r.written_at DESC, r.comment_id DESC LIMIT most
        ) AS k
        CROSS JOIN LATERAL (
            SELECT r.workspace_id, r.contact_id, r.conversation_id, r.message_id, r.direction, r.channel, r.channel_id, r.event_time,
                r.content, r.status, r.bypassed_block, r.kind, r.source, r.counted
            FROM shown_comments r
            WHERE r.workspace_id = of_workspace AND r.member_id = c.contact_id AND r.event_time = k.written_at
                AND r.message_id = k.comment_id OFFSET 0
        ) AS r
    ) AS t
    ORDER BY t.event_time DESC, t.message_id DESC LIMIT most;
END $$;

-- Pages for consoles, with their owner's rights: null `before` is the first page, and the last row of a page leads to the
-- next one.
CREATE FUNCTION sluice.conversation_page(
    of_workspace text, of_contact uuid, before timestamptz, before_id uuid, n integer
)
RETURNS TABLE (
    workspace_id text, contact_id uuid, conversation_id uuid, message_id uuid, direction text, channel text, channel_id text,
    event_time timestamptz, content json, status text, bypassed_block boolean, kind text, source text, counted boolean
)
LANGUAGE sql STABLE SECURITY DEFINER SET search_path = sluice_core, pg_temp AS $$
    SELECT * FROM timeline(of_workspace, ARRAY[present(of_workspace, of_contact)], before, before_id, n)
$$;

CREATE FUNCTION sluice.profile_page(
    of_workspace text, of_profile text, before timestamptz, before_id uuid, n integer
)
RETURNS TABLE (
    workspace_id text, profile_id text, contact_id uuid, message_id uuid, direction text, channel text, event_time timestamptz,
    content json, attachments json
)
LANGUAGE sql STABLE SECURITY DEFINER SET search_path = sluice_core, pg_temp AS $$
    SELECT t.workspace_id, of_profile, t.contact_id, t.message_id, t.direction, t.channel, t.event_time, t.content,
        t.content -> 'attachments'
    FROM timeline(of_workspace, ARRAY(
        SELECT c.contact_id FROM contacts c
        WHERE c.workspace_id = of_workspace AND c.profile_id = of_profile AND c.merged_into IS NULL
    ), before, before_id, n) AS t
$$;

REVOKE ALL ON FUNCTION sluice.conversation_page(text, uuid, timestamptz, uuid, integer),
    sluice.profile_page(text, text, timestamptz, uuid, integer) FROM PUBLIC;
GRANT EXECUTE ON FUNCTION sluice.conversation_page(text, uuid, timestamptz, uuid, integer),
    sluice.profile_page(text, text, timestamptz, uuid, integer) TO sluice_worker, sluice_reader;
