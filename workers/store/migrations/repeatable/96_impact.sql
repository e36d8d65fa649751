-- What a command would touch, told before it is given.
--
-- No figure goes beyond 10,001, which means more than 10,000: it reads no further, so it answers at once whatever there is. Of more
-- than 500 contacts the runs, holds and messages of the first 500 are counted: then these figures are at least that.

-- The contact that a command names, by its id or by an address as Sluice keeps it, at a time; null: there is none.
CREATE FUNCTION sluice_core.target_of(of_workspace text, command jsonb, at timestamptz) RETURNS uuid
LANGUAGE sql STABLE SET search_path = sluice_core, pg_temp SET plan_cache_mode = auto AS $$
    WITH given AS (
        SELECT command -> 'identity' ->> 'channel' AS channel, command -> 'identity' ->> 'address' AS address,
            CASE WHEN command -> 'identity' ->> 'channel' IN ('whatsapp', 'sms', 'email', 'telegram') THEN ''
                ELSE command -> 'identity' ->> 'channel_id' END AS scope
    ), named AS (
        SELECT (command ->> 'contact_id')::uuid AS contact_id WHERE command ->> 'contact_id' IS NOT NULL
        UNION ALL
        SELECT i.contact_id FROM given g
        CROSS JOIN LATERAL (
            SELECT g.address AS lookup
            UNION
            SELECT translate(g.address, 'ABCDEFGHIJKLMNOPQRSTUVWXYZ', 'abcdefghijklmnopqrstuvwxyz') WHERE g.channel = 'email'
        ) AS k
        CROSS JOIN LATERAL (
            -- Each kind is found by an index of its own.
            SELECT i.contact_id, i.began_at, i.ended_at FROM identities i
            WHERE i.workspace_id = of_workspace AND i.channel = g.channel AND i.scope = g.scope AND i.lookup = k.lookup
                AND i.ended_at IS NULL
            UNION ALL
            SELECT i.contact_id, i.began_at, i.ended_at FROM identities i
            WHERE i.workspace_id = of_workspace AND i.channel = g.channel AND i.scope = g.scope AND i.lookup = k.lookup
                AND i.ended_at IS NOT NULL AND i.ended_at > at
        ) AS i
        WHERE coalesce(i.began_at <= at, true) AND coalesce(i.ended_at > at, true)
    )
    SELECT coalesce(l.merged_into, l.contact_id) FROM named n
    CROSS JOIN LATERAL (
        SELECT l.* FROM living_contacts l WHERE l.workspace_id = of_workspace AND l.contact_id = n.contact_id LIMIT 1
    ) AS l
    LIMIT 1
$$;

-- What a block at a time would add to the history of a contact, and of those that were merged into it: it ends with the first unblock
-- that the contact has. It adds nothing where they are blocked already, so each has an interval of its own, or no row.
CREATE FUNCTION sluice_core.blocks_foreseen(of_workspace text, of_contact uuid, members uuid[], at timestamptz)
RETURNS TABLE (contact_id uuid, block tstzrange)
LANGUAGE sql STABLE SET search_path = sluice_core, pg_temp SET plan_cache_mode = auto AS $$
    SELECT b.contact_id, tstzrange(b.since, e.until) FROM (
        SELECT min(c.issued_at) AS until FROM block_commands c
        WHERE c.workspace_id = of_workspace AND c.contact_id = of_contact AND c.unblocks AND c.issued_at > at
    ) AS e
    CROSS JOIN LATERAL (
        SELECT m.contact_id, CASE WHEN h.held IS NULL THEN at ELSE coalesce(upper(h.held), 'infinity') END AS since
        FROM unnest(members) AS m (contact_id)
        CROSS JOIN LATERAL older_block(of_workspace, m.contact_id, at) AS h (held)
    ) AS b
    WHERE b.since < coalesce(e.until, 'infinity')
$$;

-- How many runs would be halted, those below them included: by a block of each of `people`, or, if `blocks` is null, because they go
-- away at this time. The same as `count_halts` in workers/store/queries/workflows.sql, against what is stored.
CREATE FUNCTION sluice_core.halts_foreseen(of_workspace text, people uuid[], blocks tstzrange[], at timestamptz) RETURNS bigint
LANGUAGE plpgsql STABLE SET search_path = sluice_core, pg_temp SET enable_seqscan = off SET enable_hashjoin = off
    SET enable_mergejoin = off SET plan_cache_mode = force_generic_plan AS $$
#variable_conflict use_column
BEGIN
    RETURN (
        WITH RECURSIVE blocked AS MATERIALIZED (
            -- Their histories with this interval: what it takes in is no interval of its own.
            SELECT c.contact_id, person.block, ARRAY(SELECT b FROM unnest(c.blocks) AS b WHERE NOT b <@ person.block) || person.block
                AS blocks, CASE WHEN lower(person.block) < c.blocks_since THEN lower(person.block) ELSE c.blocks_since END AS blocks_since
            FROM unnest($2, $3) AS person (contact_id, block)
            CROSS JOIN LATERAL (
                SELECT c.contact_id, c.blocks, c.blocks_since FROM contacts c
                WHERE c.workspace_id = $1 AND c.contact_id = person.contact_id LIMIT 1
            ) AS c
            WHERE $3 IS NOT NULL
        ), judged AS (
            SELECT (own.run).run_id, false AS below, e.trigger, e.stopped_at, e.reason, e.halts
            FROM unnest($2, $3) AS person (contact_id, block)
            CROSS JOIN LATERAL runs_alive($1, person.contact_id, upper(person.block), person.block IS NULL,
                coalesce(lower(person.block), '-infinity'), '', NULL, 10001) AS own
            LEFT JOIN LATERAL (
                SELECT p.* FROM workflow_runs p
                WHERE p.workspace_id = $1 AND p.run_id = (own.run).parent_run_id AND p.run_id <> (own.run).run_id LIMIT 1
            ) AS p ON true
            LEFT JOIN blocked b ON b.contact_id = person.contact_id
            CROSS JOIN LATERAL (
                SELECT coalesce(p.trigger, (own.run).trigger) AS trigger,
                    CASE WHEN v.state IN ('halted', 'refused') THEN v.at END AS stopped_at, v.reason,
                    v.state = 'halted' AND ((own.run).published, (own.run).published_reason) IS DISTINCT FROM ('run_halted', v.reason)
                        AS halts
                FROM (
                    SELECT e.state, e.reason, e.at FROM run_end(own.run, coalesce(p.trigger, (own.run).trigger),
                        CASE WHEN p.state IN ('halted', 'refused') THEN p.halted_at END, p.reason, true, b.blocks, b.blocks_since) AS e
                    WHERE b.contact_id IS NOT NULL
                    UNION ALL
                    SELECT 'halted', 'contact gone', greatest($4, (own.run).started_at) WHERE b.contact_id IS NULL
                ) AS v
                OFFSET 0
            ) AS e
            WHERE e.stopped_at IS DISTINCT FROM (own.run).halted_at OR e.halts
            UNION
            SELECT (child.r).run_id, true, e.trigger, e.stopped_at, e.reason, e.halts
            FROM judged j
            CROSS JOIN LATERAL (
                SELECT r FROM workflow_runs r
                WHERE r.workspace_id = $1 AND (r.parent_run_id, r.run_id) > (j.run_id, '') AND r.parent_run_id <= j.run_id
                    AND r.run_id <> j.run_id
                ORDER BY r.parent_run_id, r.run_id LIMIT 10001
            ) AS child
            LEFT JOIN LATERAL (
                SELECT c.contact_id, c.blocks, c.blocks_since FROM contacts c
                WHERE c.workspace_id = $1 AND c.contact_id = (child.r).contact_id LIMIT 1
            ) AS c ON true
            LEFT JOIN blocked b ON b.contact_id = (child.r).contact_id
            CROSS JOIN LATERAL (
                SELECT j.trigger, CASE WHEN v.state IN ('halted', 'refused') THEN v.at END AS stopped_at, v.reason,
                    v.state = 'halted' AND ((child.r).published, (child.r).published_reason) IS DISTINCT FROM ('run_halted', v.reason)
                        AS halts
                FROM run_end(child.r, j.trigger, j.stopped_at, j.reason, c.contact_id IS NOT NULL,
                    coalesce(b.blocks, c.blocks), CASE WHEN b.contact_id IS NULL THEN c.blocks_since ELSE b.blocks_since END) AS v
                OFFSET 0
            ) AS e
            WHERE e.stopped_at IS DISTINCT FROM (child.r).halted_at OR e.halts
        )
        SELECT count(*) FROM (
            SELECT run_id FROM (SELECT * FROM judged LIMIT 20002) AS f
            -- One that was reached from above is judged by what its parent is then.
            GROUP BY run_id HAVING coalesce(bool_or(halts) FILTER (WHERE below), bool_or(halts)) LIMIT 10001
        ) AS halted
    );
END $$;

-- How many holds wait for an answer that were requested before `until` and go to these people or to an address of theirs.
CREATE FUNCTION sluice_core.holds_foreseen(of_workspace text, people uuid[], until timestamptz) RETURNS bigint
LANGUAGE plpgsql STABLE SET search_path = sluice_core, pg_temp SET enable_seqscan = off SET enable_hashjoin = off
    SET enable_mergejoin = off SET plan_cache_mode = force_generic_plan AS $$
#variable_conflict use_column
DECLARE
    -- Mostly none is under way, and to ask for each hold whether it ends anyway costs more than all the rest.
    answering boolean := EXISTS (
        SELECT FROM pending_work w
        WHERE w.workspace_id = of_workspace AND w.kind IN ('confirm holds', 'reject holds', 'cancel holds', 'refuse holds')
    );
BEGIN
    RETURN (
        SELECT count(*) FROM (
            SELECT h.send_id FROM unnest(people) AS person (contact_id)
            CROSS JOIN LATERAL (
                SELECT s.send_id FROM sends s
                WHERE s.workspace_id = of_workspace AND s.contact_id = person.contact_id AND s.status = 'held' AND s.requested_at < until
                    AND CASE WHEN answering THEN (
                        SELECT h.answered_by FROM holds h WHERE h.workspace_id = s.workspace_id AND h.send_id = s.send_id
                    ) IS NULL ELSE true END
                LIMIT 10001
            ) AS h
            UNION
            SELECT h.send_id FROM unnest(people) AS person (contact_id)
            JOIN identities i ON i.workspace_id = of_workspace AND i.contact_id = person.contact_id AND i.ended_at IS NULL
            CROSS JOIN LATERAL (
                SELECT s.send_id FROM sends s
                WHERE s.workspace_id = of_workspace AND s.channel = i.channel AND s.scope = i.scope AND s.lookup = i.lookup
                    AND s.status = 'held' AND s.contact_id IS DISTINCT FROM person.contact_id AND s.requested_at < until
                    AND CASE WHEN answering THEN (
                        SELECT h.answered_by FROM holds h WHERE h.workspace_id = s.workspace_id AND h.send_id = s.send_id
                    ) IS NULL ELSE true END
                LIMIT 10001
            ) AS h
            LIMIT 10001
        ) AS found
    );
END $$;

-- How many messages blocks of these people would drop, and by how many contacts the open cycles would count less.
CREATE FUNCTION sluice_core.drops_foreseen(
    of_workspace text, of_contact uuid, people uuid[], blocks tstzrange[], OUT messages bigint, OUT active_contacts bigint
) LANGUAGE plpgsql STABLE SET search_path = sluice_core, pg_temp SET enable_seqscan = off SET enable_hashjoin = off
    SET enable_mergejoin = off SET plan_cache_mode = force_generic_plan AS $$
#variable_conflict use_column
BEGIN
    SELECT count(*) INTO messages FROM (
        SELECT FROM unnest(people, blocks) AS person (contact_id, block)
        CROSS JOIN LATERAL (
            SELECT c.blocks, c.blocks_since FROM contacts c
            WHERE c.workspace_id = of_workspace AND c.contact_id = person.contact_id LIMIT 1
        ) AS c
        CROSS JOIN LATERAL (
            SELECT h.identity_id FROM home_identities h WHERE h.workspace_id = of_workspace AND h.home_id = person.contact_id OFFSET 0
        ) AS i
        JOIN generations g ON g.last_event >= lower(person.block)
        CROSS JOIN LATERAL (
            SELECT FROM messages m
            WHERE m.generation = g.generation AND m.identity_id = i.identity_id AND m.drop_reason IS NULL
                AND m.event_time >= lower(person.block) AND m.event_time < coalesce(upper(person.block), 'infinity')
                AND m.kind IN ('message', 'reaction') AND NOT m.released
                AND NOT under_block(of_workspace, person.contact_id, c.blocks, c.blocks_since, m.event_time)
            LIMIT 10001
        ) AS m
        LIMIT 10001
    ) AS found;
    -- In a cycle that begins after the block, or if the workspace leaves blocked contacts out at once, what it drops does not count;
    -- an echo to a blocked contact never does. A contact stays in the count by any other message.
    SELECT -count(*) INTO active_contacts
    FROM mac_cycles y
    JOIN mac_contacts k ON k.workspace_id = y.workspace_id AND k.cycle_start = y.cycle_start AND k.contact_id = of_contact
    CROSS JOIN LATERAL (
        SELECT coalesce((
            SELECT e.value #>> '{}' FROM effective_settings e
            WHERE e.workspace_id = of_workspace AND e.channel_id = '' AND e.name = 'mac_block_effect' AND e.holds_from <= y.cycle_start
            ORDER BY e.holds_from DESC LIMIT 1
        ) = 'immediate', false) AS immediate OFFSET 0
    ) AS s
    WHERE y.workspace_id = of_workspace AND y.status = 'open' AND coalesce(y.closes_at > now(), true)
        AND y.cycle_end > (SELECT min(lower(b)) FROM unnest(blocks) AS b) AND NOT EXISTS (
            SELECT FROM identities i
            LEFT JOIN LATERAL (
                SELECT p.block FROM unnest(people, blocks) AS p (contact_id, block)
                WHERE p.contact_id = coalesce(i.home_id, i.contact_id) LIMIT 1
            ) AS p ON true
            CROSS JOIN generations g
            CROSS JOIN LATERAL (
                SELECT m.kind, m.released, m.event_time, m.counted FROM messages m
                WHERE m.generation = g.generation AND m.identity_id = i.identity_id AND m.drop_reason IS NULL
                    AND m.event_time >= y.cycle_start AND m.event_time < y.cycle_end
                UNION ALL
                SELECT m.kind, m.released, m.event_time, m.counted FROM messages m
                WHERE m.generation = g.generation AND m.identity_id = i.identity_id AND m.drop_reason IS NOT NULL
                    AND m.event_time >= y.cycle_start AND m.event_time < y.cycle_end
            ) AS m
            WHERE i.workspace_id = of_workspace AND i.contact_id = of_contact AND m.counted
                AND NOT coalesce(m.event_time <@ p.block AND CASE
                    WHEN m.kind = 'echo' THEN true
                    WHEN m.kind IN ('message', 'reaction') AND NOT m.released THEN s.immediate OR y.cycle_start > lower(p.block)
                    ELSE false
                END, false)
        );
END $$;

-- How many entries the conversations of these people have, with dropped messages whose content is still kept.
CREATE FUNCTION sluice_core.erasures_foreseen(of_workspace text, people uuid[]) RETURNS bigint
LANGUAGE plpgsql STABLE SET search_path = sluice_core, pg_temp SET enable_seqscan = off SET enable_hashjoin = off
    SET enable_mergejoin = off SET plan_cache_mode = force_generic_plan AS $$
#variable_conflict use_column
BEGIN
    RETURN (
        SELECT count(*) FROM (
            SELECT FROM unnest(people) AS person (contact_id)
            JOIN identities i ON i.workspace_id = of_workspace AND i.contact_id = person.contact_id
            CROSS JOIN generations g
            CROSS JOIN LATERAL (
                (SELECT FROM messages m WHERE m.generation = g.generation AND m.identity_id = i.identity_id AND m.drop_reason IS NULL
                LIMIT 10001)
                UNION ALL
                (SELECT FROM messages m WHERE m.generation = g.generation AND m.identity_id = i.identity_id AND m.drop_reason IS NOT NULL
                    AND m.body IS NOT NULL LIMIT 10001)
            ) AS m
            UNION ALL
            SELECT FROM unnest(people) AS person (contact_id)
            JOIN sends s ON s.workspace_id = of_workspace AND s.contact_id = person.contact_id AND s.accepted_at IS NULL AND s.attempt > 0
            UNION ALL
            SELECT FROM unnest(people) AS person (contact_id)
            JOIN comments r ON r.workspace_id = of_workspace AND r.contact_id = person.contact_id
            LIMIT 10001
        ) AS found
    );
END $$;

-- The profiles, 10,001 at most, that would have what a command protects or gives, if it protects; also those that are protected already.
CREATE FUNCTION sluice_core.protected_by(of_workspace text, command jsonb) RETURNS text[]
LANGUAGE plpgsql STABLE SET search_path = sluice_core, pg_temp SET enable_seqscan = off SET enable_hashjoin = off
    SET enable_mergejoin = off SET plan_cache_mode = force_generic_plan AS $$
#variable_conflict use_column
DECLARE
    of_company text := command ->> 'company_id';
    of_status text := command ->> 'name';
    new_companies text[] := ARRAY(SELECT jsonb_array_elements_text(coalesce(nullif(command -> 'company_ids', 'null'), '[]')));
BEGIN
    CASE command ->> 'command'
    WHEN 'protect_company' THEN
        RETURN ARRAY(
            SELECT b.profile_id FROM companies o
            JOIN profile_companies b ON b.workspace_id = o.workspace_id AND b.company_id = o.company_id
            WHERE o.workspace_id = of_workspace AND o.company_id = of_company AND NOT o.protected
            ORDER BY b.company_id LIMIT 10001
        );
    WHEN 'define_status' THEN
        RETURN ARRAY(
            SELECT p.profile_id FROM profiles p
            WHERE p.workspace_id = of_workspace AND p.status = of_status AND p.deleted_at IS NULL AND (command ->> 'protected')::boolean
            LIMIT 10001
        );
    WHEN 'set_profile_status' THEN
        RETURN ARRAY(
            SELECT command ->> 'profile_id' FROM profile_statuses t
            WHERE t.workspace_id = of_workspace AND t.name = command ->> 'status' AND t.protected
        );
    WHEN 'set_profile_companies' THEN
        RETURN ARRAY(
            SELECT command ->> 'profile_id' FROM companies o
            WHERE o.workspace_id = of_workspace AND o.company_id = ANY (new_companies) AND o.protected LIMIT 1
        );
    ELSE
        RETURN '{}';
    END CASE;
END $$;

-- One row for a command that blocks, protects, merges or deletes, as it stands on contacts.commands; none for any other. An address in
-- it is one as Sluice keeps it. What the command would not change, or what it would be refused for, has zeros.
--
-- `runs` halt, and `holds` are cancelled; if it protects, they are the running ones whose next message will wait, and the ones that get a
-- reason more; if it merges, `holds` go to the survivor. `messages`: accepted ones that a block in the past drops, or what a deletion
-- erases. `contacts`: the ones concerned. `active_contacts`: what it adds to the counts of open cycles.
CREATE FUNCTION sluice.impact(workspace_id text, command jsonb)
RETURNS TABLE (runs bigint, holds bigint, messages bigint, contacts bigint, active_contacts bigint)
LANGUAGE plpgsql STABLE SECURITY DEFINER SET search_path = sluice_core, pg_temp SET plan_cache_mode = auto AS $$
#variable_conflict use_column
DECLARE
    name text := command ->> 'command';
    issued timestamptz := least(coalesce((command ->> 'issued_at')::timestamptz, now()), now());
    one uuid := target_of($1, command, issued);
    survivor uuid;
    people uuid[];      -- those concerned
    members uuid[];     -- with whoever was merged into the first 500
    changed uuid[];     -- whose histories a block changes
    blocks tstzrange[];
    profile text;
    profiles text[];
BEGIN
    runs := 0; holds := 0; messages := 0; contacts := 0; active_contacts := 0;
    IF name = 'block_contact' THEN
        people := ARRAY[one];
        IF one IS NULL THEN
            -- An unknown address becomes a blocked contact.
            contacts := CASE WHEN command -> 'identity' ->> 'address' IS NULL THEN 0 ELSE 1 END;
        END IF;
    ELSIF name = 'merge_contacts' THEN
        survivor := target_of($1, jsonb_build_object('contact_id', command -> 'survivor_id'), issued);
        one := target_of($1, jsonb_build_object('contact_id', command -> 'loser_id'), issued);
        people := ARRAY(
            SELECT one FROM living_contacts a, living_contacts b
            WHERE a.workspace_id = $1 AND a.contact_id = survivor AND b.workspace_id = $1 AND b.contact_id = one AND one <> survivor
                AND a.blocked_at IS NULL AND b.blocked_at IS NULL
        );
        contacts := 2 * cardinality(people);
    ELSIF name = 'delete_contacts' THEN
        people := CASE WHEN (command ->> 'all')::boolean THEN ARRAY(
            SELECT l.contact_id FROM living_contacts l WHERE l.workspace_id = $1 AND l.merged_into IS NULL
            ORDER BY l.contact_id LIMIT 10001
        ) ELSE ARRAY(
            SELECT DISTINCT coalesce(l.merged_into, l.contact_id)
            FROM jsonb_array_elements_text(coalesce(nullif(command -> 'contact_ids', 'null'), '[]')) AS wanted (id)
            CROSS JOIN LATERAL (
                SELECT l.* FROM living_contacts l WHERE l.workspace_id = $1 AND l.contact_id = wanted.id::uuid LIMIT 1
            ) AS l
            LIMIT 10001
        ) END;
        contacts := cardinality(people);
    ELSIF name = 'attach_contact' THEN
        profile := command ->> 'profile_id';
        IF profile IS NULL THEN
            SELECT CASE WHEN count(*) = 1 THEN min(p.profile_id) END INTO profile FROM (
                SELECT p.profile_id FROM profiles p
                WHERE p.workspace_id = $1 AND p.name_key = lower(normalize(btrim(command ->> 'profile_name'), NFC))
                    AND p.deleted_at IS NULL LIMIT 2
            ) AS p;
        END IF;
        people := ARRAY(
            SELECT one WHERE one IS NOT NULL
                AND EXISTS (SELECT FROM profile_protections g WHERE g.workspace_id = $1 AND g.profile_id = profile)
                AND NOT EXISTS (SELECT FROM protections g WHERE g.workspace_id = $1 AND g.contact_id = one)
        );
        contacts := cardinality(people);
    ELSIF name IN ('protect_company', 'define_status', 'set_profile_status', 'set_profile_companies') THEN
        -- The profile of each contact, until there are enough.
        profiles := ARRAY(
            SELECT n.profile_id FROM unnest(protected_by($1, command)) AS n (profile_id)
            CROSS JOIN LATERAL (
                SELECT p.contacts FROM profiles p
                WHERE p.workspace_id = $1 AND p.profile_id = n.profile_id AND p.deleted_at IS NULL AND NOT EXISTS (
                    SELECT FROM profile_protections g
                    WHERE g.workspace_id = $1 AND g.profile_id = n.profile_id AND g.code <> 'protection_unknown' OFFSET 0
                )
                LIMIT 1
            ) AS p
            CROSS JOIN LATERAL generate_series(1, p.contacts)
            LIMIT 10001
        );
        contacts := cardinality(profiles);
        people := ARRAY(
            SELECT c.contact_id FROM (SELECT DISTINCT profile_id FROM unnest(profiles[:500]) AS profile_id) AS n
            CROSS JOIN LATERAL (
                SELECT c.contact_id FROM living_contacts c
                WHERE c.workspace_id = $1 AND c.profile_id = n.profile_id AND c.merged_into IS NULL LIMIT 500
            ) AS c
            LIMIT 500
        );
    ELSE
        RETURN;
    END IF;
    members := ARRAY(
        SELECT f.member_id FROM unnest(people[:500]) AS person (contact_id)
        CROSS JOIN LATERAL (SELECT f.member_id FROM family f WHERE f.workspace_id = $1 AND f.contact_id = person.contact_id OFFSET 0) AS f
    );
    IF name = 'block_contact' THEN
        SELECT array_agg(b.contact_id), array_agg(b.block) INTO changed, blocks FROM blocks_foreseen($1, one, members, issued) AS b;
    END IF;
    IF changed IS NOT NULL THEN
        contacts := 1;
        runs := halts_foreseen($1, changed, blocks, issued);
        holds := holds_foreseen($1, changed, coalesce(upper(blocks[1]), 'infinity'));
        SELECT d.messages, d.active_contacts INTO messages, active_contacts FROM drops_foreseen($1, one, changed, blocks) AS d;
    ELSIF name <> 'block_contact' AND cardinality(people) > 0 THEN
        runs := CASE WHEN name IN ('merge_contacts', 'delete_contacts') THEN halts_foreseen($1, members, NULL, issued) ELSE (
            SELECT count(*) FROM (
                SELECT FROM unnest(members) AS member (contact_id)
                CROSS JOIN LATERAL runs_alive($1, member.contact_id, NULL, true, '-infinity', '', NULL, 10001) LIMIT 10001
            ) AS running
        ) END;
        holds := holds_foreseen($1, members, 'infinity');
        messages := CASE WHEN name = 'delete_contacts' THEN erasures_foreseen($1, members) ELSE 0 END;
    END IF;
    IF name = 'merge_contacts' AND cardinality(people) > 0 THEN
        SELECT -count(*) INTO active_contacts FROM mac_cycles y
        JOIN mac_contacts a ON a.workspace_id = y.workspace_id AND a.cycle_start = y.cycle_start AND a.contact_id = survivor
        JOIN mac_contacts b ON b.workspace_id = y.workspace_id AND b.cycle_start = y.cycle_start AND b.contact_id = one
        WHERE y.workspace_id = $1 AND y.status = 'open' AND coalesce(y.closes_at > now(), true);
    END IF;
    RETURN NEXT;
END $$;
REVOKE ALL ON FUNCTION sluice.impact(text, jsonb) FROM PUBLIC;
GRANT EXECUTE ON FUNCTION sluice.impact(text, jsonb) TO sluice_worker, sluice_reader;
