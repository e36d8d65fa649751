-- What a send is judged by, said once in SQL: requests, claims and `may_send` give the same answer.

-- The grounds that hold a send and that no answer covers: those of its contact and of the address's owner. OFFSET 0
-- keeps PostgreSQL from computing the grounds of everybody before the join.
CREATE VIEW sluice_core.open_grounds AS
SELECT s.workspace_id, s.send_id, p.code, p.key
FROM sluice_core.sends s
LEFT JOIN sluice_core.identities i ON i.workspace_id = s.workspace_id AND i.channel = s.channel AND i.scope = s.scope
    AND i.lookup = s.lookup AND i.ended_at IS NULL
CROSS JOIN LATERAL (
    SELECT p.code, p.key, p.since FROM sluice_core.protections p
    WHERE p.workspace_id = s.workspace_id
        AND p.contact_id IN (sluice_core.present(s.workspace_id, s.contact_id), i.contact_id) OFFSET 0
) AS p
WHERE p.key <> ALL (s.confirmed_keys) AND NOT coalesce(p.since < s.confirmed_before, false);

-- What deleted contacts leave with the hashes of an address: nobody has the address, or its owner has it as well. A hash
-- that was renewed since is found by the former one.
CREATE FUNCTION sluice_core.blocked_by_hash(of_workspace text, hashes bytea[], requested_at timestamptz) RETURNS boolean
LANGUAGE sql STABLE PARALLEL SAFE
    RETURN coalesce(cardinality(hashes), 0) > 0 AND (EXISTS (
        SELECT FROM sluice_core.address_hashes h
        WHERE h.workspace_id = of_workspace AND h.hash = ANY (hashes) AND (h.blocked OR requested_at <@ ANY (h.blocks))
    ) OR EXISTS (
        SELECT FROM sluice_core.address_hashes h
        WHERE h.workspace_id = of_workspace AND h.former_hash = ANY (hashes) AND (h.blocked OR requested_at <@ ANY (h.blocks))
    ));

CREATE FUNCTION sluice_core.opted_out_by_hash(of_workspace text, hashes bytea[]) RETURNS boolean
LANGUAGE sql STABLE PARALLEL SAFE
    RETURN coalesce(cardinality(hashes), 0) > 0 AND (EXISTS (
        SELECT FROM sluice_core.address_hashes h
        WHERE h.workspace_id = of_workspace AND h.hash = ANY (hashes) AND h.opted_out
    ) OR EXISTS (
        SELECT FROM sluice_core.address_hashes h
        WHERE h.workspace_id = of_workspace AND h.former_hash = ANY (hashes) AND h.opted_out
    ));

-- Holds. `answered_by` null: it waits for a person. Else the number of the work that ends it, of several the first; a
-- step of that work does, or whoever answers it before. `owner_id` is whose address it goes to. The contact of a hold is
-- one that was merged away only as long as steps are left that give it to the survivor.
CREATE VIEW sluice_core.holds AS
SELECT s.workspace_id, s.send_id, s.group_id, s.contact_id, i.contact_id AS owner_id, s.channel, s.scope, s.lookup, s.address,
    s.understood, i.connected_at, i.opted_out, s.run_id, s.content, s.reasons, s.reason_keys, s.confirmed_keys, s.confirmed_before,
    s.requested_by, s.requested_at, s.held_at, s.expires_at, s.address_hashes,
    (
        SELECT min(w.number)
        FROM (VALUES
            ('confirm holds', s.group_id), ('reject holds', s.group_id), ('cancel holds', s.contact_id::text),
            ('cancel holds', i.contact_id::text), ('refuse holds', s.run_id)
        ) AS about (kind, subject)
        JOIN sluice_core.pending_work w ON w.workspace_id = s.workspace_id AND w.kind = about.kind AND w.subject = about.subject
        WHERE s.held_at < (w.details ->> 'at')::timestamptz
            AND (w.kind NOT IN ('confirm holds', 'reject holds') OR s.expires_at > (w.details ->> 'at')::timestamptz)
            AND coalesce(s.requested_at < (w.details ->> 'until')::timestamptz, true)
            AND s.requested_by IS DISTINCT FROM w.details ->> 'not_of'
    ) AS answered_by
FROM sluice_core.sends s
LEFT JOIN sluice_core.identities i ON i.workspace_id = s.workspace_id AND i.channel = s.channel AND i.scope = s.scope
    AND i.lookup = s.lookup AND i.ended_at IS NULL
WHERE s.status = 'held';

-- What decides the outcome of confirming everything that a hold shows, except for protections that it does not show:
-- `confirmation_outcomes` in workers/store/queries/holds.sql joins them as a set. The contact and the owner of the
-- address, who are mostly one, are read once.
CREATE VIEW sluice_core.confirmation_cases AS
SELECT h.workspace_id, h.send_id, h.group_id, h.requested_by, h.held_at, h.expires_at, h.answered_by, h.reason_keys, h.confirmed_keys,
    h.confirmed_before, c.profile_id, c.profile_at, o.profile_id AS owner_profile_id, o.profile_at AS owner_profile_at,
    h.contact_id IS NOT NULL AND c.contact_id IS NULL
        OR sluice_core.stopped_by_block(c.workspace_id, c.contact_id, c.blocked_at, c.blocks, c.blocks_since, h.requested_at)
        OR sluice_core.stopped_by_block(o.workspace_id, o.contact_id, o.blocked_at, o.blocks, o.blocks_since, h.requested_at)
        OR coalesce(h.opted_out, false)
        OR sluice_core.blocked_by_hash(h.workspace_id, h.address_hashes, h.requested_at)
        OR sluice_core.opted_out_by_hash(h.workspace_id, h.address_hashes)
        OR num_nulls(h.scope, h.lookup, h.address) > 0
        OR sluice_core.channel_obstacle(h.channel, h.lookup, h.understood, h.connected_at) IS NOT NULL
        OR h.run_id IS NOT NULL AND EXISTS (
            SELECT FROM sluice_core.stopped_runs r WHERE r.workspace_id = h.workspace_id AND r.run_id = h.run_id OFFSET 0
        ) AS refused
FROM sluice_core.holds h
LEFT JOIN sluice_core.living_contacts c ON c.workspace_id = h.workspace_id AND c.contact_id = h.contact_id
LEFT JOIN sluice_core.contacts o ON o.workspace_id = h.workspace_id
    AND o.contact_id = CASE WHEN h.owner_id IS DISTINCT FROM h.contact_id THEN h.owner_id END;

-- Every reason never to send to these people, in the rules' order: the same as `refusals` in workers/rules/sends.py.
-- `blocked`: a deleted contact that had the address is.
CREATE FUNCTION sluice_core.refusals(
    workspace_id text, people uuid[], requested_at timestamptz, opted_out boolean, run_halted boolean, obstacles text[],
    blocked boolean DEFAULT false
) RETURNS text[] LANGUAGE sql STABLE AS $$
    SELECT array_remove(ARRAY[
        CASE WHEN (SELECT count(*) FROM sluice_core.living_contacts c WHERE c.workspace_id = $1 AND c.contact_id = ANY ($2))
            < (SELECT count(DISTINCT p) FROM unnest($2) AS p) THEN 'contact_deleted' END,
        CASE WHEN $7 OR EXISTS (
            SELECT FROM sluice_core.contacts c
            WHERE c.workspace_id = $1 AND c.contact_id = ANY ($2)
                AND sluice_core.stopped_by_block(c.workspace_id, c.contact_id, c.blocked_at, c.blocks, c.blocks_since, $3)
        ) THEN 'contact_blocked' END,
        CASE WHEN $4 THEN 'opted_out' END,
        CASE WHEN $5 THEN 'run_halted' END,
        CASE WHEN 'bad_address' = ANY ($6) THEN 'bad_address' END,
        CASE WHEN 'contact_must_initiate' = ANY ($6) THEN 'contact_must_initiate' END
    ], NULL)
$$;

-- Senders call it right before the provider. Grants each attempt once, else returns the reason. If the send's status
-- does not show that reason yet, it sets `recheck_at`, and a job of `upkeep` judges the send again.
CREATE FUNCTION sluice.claim_send(workspace_id text, send_id uuid, attempt integer)
RETURNS TABLE (granted boolean, reason text)
LANGUAGE plpgsql SECURITY DEFINER SET search_path = sluice_core, pg_temp AS $$
#variable_conflict use_column
DECLARE
    send sends;
    claimed timestamptz;
    person uuid;
    seen uuid;
    owner identities;
    why text;
BEGIN
    SELECT * INTO send FROM sends s WHERE s.workspace_id = $1 AND s.send_id = $2;
    IF NOT FOUND THEN
        RETURN QUERY SELECT false, 'unknown_send';
        RETURN;
    END IF;
    SELECT i.contact_id INTO seen FROM identities i WHERE i.workspace_id = $1 AND i.channel = send.channel
        AND i.scope = send.scope AND i.lookup = send.lookup AND i.ended_at IS NULL;
    person := coalesce(present($1, send.contact_id), send.contact_id);
    -- People first, then the send: who blocks or merges them holds their rows for update.
    PERFORM FROM contacts c WHERE c.workspace_id = $1 AND c.contact_id IN (person, seen)
        ORDER BY c.contact_id FOR KEY SHARE;
    SELECT * INTO send FROM sends s WHERE s.workspace_id = $1 AND s.send_id = $2 FOR UPDATE;
    SELECT a.claimed_at INTO claimed FROM send_attempts a
        WHERE a.workspace_id = $1 AND a.send_id = $2 AND a.attempt = $3;
    why := CASE
        WHEN NOT FOUND THEN 'not_dispatched'
        WHEN claimed IS NOT NULL THEN 'already_claimed'
        WHEN $3 < send.attempt THEN 'superseded'
        WHEN send.status = 'held' THEN send.reasons[1]
        WHEN send.status <> 'dispatched' THEN coalesce(send.reason, send.status)
    END;
    IF why IS NOT NULL THEN
        RETURN QUERY SELECT false, why;
        RETURN;
    END IF;
    SELECT * INTO owner FROM identities i WHERE i.workspace_id = $1 AND i.channel = send.channel
        AND i.scope = send.scope AND i.lookup = send.lookup AND i.ended_at IS NULL;
    why := CASE WHEN (owner.contact_id, coalesce(present($1, send.contact_id), send.contact_id)) IS DISTINCT FROM (seen, person)
        THEN 'contact_changed' ELSE coalesce(
        (refusals(
            $1, array_remove(ARRAY[person, owner.contact_id], NULL), send.requested_at,
            coalesce(owner.opted_out, false) OR opted_out_by_hash($1, send.address_hashes),
            EXISTS (SELECT FROM stopped_runs r WHERE r.workspace_id = $1 AND r.run_id = send.run_id),
            ARRAY[channel_obstacle(send.channel, send.lookup, send.understood, owner.connected_at)],
            blocked_by_hash($1, send.address_hashes, send.requested_at)
        ))[1],
        -- Nobody without a profile is protected, and asking for the grounds is half of what a claim costs.
        CASE WHEN EXISTS (
            SELECT FROM contacts c
            WHERE c.workspace_id = $1 AND c.contact_id IN (person, owner.contact_id) AND c.profile_id IS NOT NULL
        ) THEN (SELECT min(g.code) FROM open_grounds g WHERE g.workspace_id = $1 AND g.send_id = $2) END
    ) END;
    UPDATE sends s SET recheck_at = CASE WHEN why IS NOT NULL THEN clock_timestamp() END
        WHERE s.workspace_id = $1 AND s.send_id = $2 AND (why IS NOT NULL OR s.recheck_at IS NOT NULL);
    IF why IS NULL THEN
        UPDATE send_attempts a SET claimed_at = clock_timestamp()
            WHERE a.workspace_id = $1 AND a.send_id = $2 AND a.attempt = $3;
    END IF;
    RETURN QUERY SELECT why IS NULL, why;
END $$;

-- Every reason why an address may not be written to: refusals, then protections. Judged for the contact, if there is
-- one, and for the owner of the address. `scope` null: on any channel of that kind, and the strictest answer counts.
CREATE FUNCTION sluice_core.may_reach(
    workspace_id text, contact_id uuid, kind text, scope text, address text, address_hashes bytea[]
)
RETURNS text[] LANGUAGE sql STABLE SET search_path = sluice_core, pg_temp AS $$
    WITH wanted AS (
        SELECT CASE WHEN $3 = 'email' AND understood($3, small) THEN small ELSE $5 END AS lookup
        FROM translate($5, 'ABCDEFGHIJKLMNOPQRSTUVWXYZ', 'abcdefghijklmnopqrstuvwxyz') AS small
    ), owners AS (
        SELECT i.contact_id, i.lookup, i.connected_at, i.opted_out FROM wanted w
        JOIN identities i ON i.workspace_id = $1 AND i.channel = $3 AND ($4 IS NULL OR i.scope = $4) AND i.lookup = w.lookup
            AND i.ended_at IS NULL
        UNION ALL
        SELECT i.contact_id, i.lookup, i.connected_at, i.opted_out FROM identities i
        WHERE i.workspace_id = $1 AND i.channel = $3 AND ($4 IS NULL OR i.scope = $4)
            AND i.address = $5 AND i.address <> i.lookup AND i.ended_at IS NULL
    ), people AS (
        SELECT array_remove((SELECT array_agg(o.contact_id) FROM owners o) || $2, NULL) AS ids
    )
    SELECT refusals(
        $1, p.ids, now(), coalesce((SELECT bool_or(o.opted_out) FROM owners o), false) OR opted_out_by_hash($1, $6), false,
        ARRAY(
            SELECT channel_obstacle($3, coalesce(o.lookup, w.lookup), understood($3, coalesce(o.lookup, w.lookup)), o.connected_at)
            FROM wanted w LEFT JOIN owners o ON true
        ),
        blocked_by_hash($1, $6, now())
    ) || ARRAY(
        SELECT DISTINCT g.code FROM protections g WHERE g.workspace_id = $1 AND g.contact_id = ANY (p.ids) ORDER BY g.code
    )
    FROM people p
$$;

-- The kind of `channel`, which is a kind or the id of one of the workspace's channels, and the scope of addresses
-- there; null: on any channel of the kind.
CREATE FUNCTION sluice_core.meant(workspace_id text, channel text, OUT kind text, OUT scope text)
LANGUAGE sql STABLE SET search_path = sluice_core, pg_temp AS $$
    SELECT coalesce(c.channel, $2),
        CASE WHEN coalesce(c.channel, $2) IN ('whatsapp', 'sms', 'email', 'telegram') THEN '' ELSE c.channel_id END
    FROM (SELECT) AS one LEFT JOIN channels c ON c.workspace_id = $1 AND c.channel_id = $2
$$;

-- Would a send to this contact be dispatched now? If not: every reason, and the first one on its own.
CREATE FUNCTION sluice.may_send(workspace_id text, contact_id uuid, channel text, address_hashes bytea[] DEFAULT NULL)
RETURNS TABLE (allowed boolean, reason text, reasons text[])
LANGUAGE sql STABLE SECURITY DEFINER SET search_path = sluice_core, pg_temp SET plan_cache_mode = auto AS $$
    WITH target AS (
        SELECT c.contact_id, m.kind, coalesce(i.scope, m.scope) AS scope,
            coalesce(i.lookup, on_file(m.kind, shown(c.edited, 'phone', c.phone), shown(c.edited, 'email', c.email))) AS address
        FROM meant($1, $3) m
        JOIN living_contacts c ON c.workspace_id = $1 AND c.contact_id = present($1, $2)
        LEFT JOIN LATERAL (
            SELECT i.scope, i.lookup FROM identities i CROSS JOIN LATERAL understood(i.channel, i.lookup) AS u
            WHERE i.workspace_id = $1 AND i.contact_id = c.contact_id AND i.channel = m.kind AND (m.scope IS NULL OR i.scope = m.scope)
                AND i.removed_at IS NULL
            ORDER BY channel_obstacle(i.channel, i.lookup, u, i.connected_at) IS NULL DESC, i.connected_at IS NOT NULL DESC,
                u DESC, i.identity_id DESC
            LIMIT 1
        ) AS i ON true
    ), judged AS (
        SELECT CASE WHEN t.address IS NOT NULL THEN may_reach($1, t.contact_id, t.kind, t.scope, t.address, $4) ELSE
            refusals($1, ARRAY[t.contact_id], now(), false, false, ARRAY['contact_must_initiate']) || ARRAY(
                SELECT DISTINCT g.code FROM protections g WHERE g.workspace_id = $1 AND g.contact_id = t.contact_id ORDER BY g.code)
        END AS reasons FROM target t
    )
    SELECT reasons = '{}', reasons[1], reasons
    FROM (SELECT coalesce((SELECT reasons FROM judged), ARRAY[CASE WHEN EXISTS (
        SELECT FROM deleted_contacts d WHERE d.workspace_id = $1 AND d.contact_id = $2
    ) THEN 'contact_deleted' ELSE 'unknown_contact' END]) AS reasons) AS answer
$$;

-- The same for an address as Sluice keeps it: E.164 for numbers. An unknown number or e-mail address may be written to.
CREATE FUNCTION sluice.may_send(workspace_id text, address text, channel text, address_hashes bytea[] DEFAULT NULL)
RETURNS TABLE (allowed boolean, reason text, reasons text[])
LANGUAGE plpgsql STABLE SECURITY DEFINER SET search_path = sluice_core, pg_temp SET plan_cache_mode = auto AS $$
#variable_conflict use_column
BEGIN
    -- An untyped literal that is a contact's id finds this function, not the other one.
    IF $2 ~ '^[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}$'
        AND EXISTS (SELECT FROM contacts c WHERE c.workspace_id = $1 AND c.contact_id = $2::uuid) THEN
        RETURN QUERY SELECT * FROM sluice.may_send($1, $2::uuid, $3, $4);
        RETURN;
    END IF;
    RETURN QUERY SELECT r.reasons = '{}', r.reasons[1], r.reasons
        FROM (SELECT may_reach($1, NULL, m.kind, m.scope, $2, $4) AS reasons FROM meant($1, $3) m) AS r;
END $$;

-- `answered_by` is mostly null, but PostgreSQL expects that of few rows: asked in this way it expects it of most, and a page
-- of the oldest holds reads no others.
CREATE VIEW sluice.held_sends AS
SELECT h.workspace_id, h.send_id, h.group_id, h.contact_id, c.profile_id, h.channel, h.content, h.reasons,
    NOT EXISTS (
        SELECT FROM sluice_core.open_grounds g WHERE g.workspace_id = h.workspace_id AND g.send_id = h.send_id OFFSET 0
    ) AS releasable,
    h.requested_by, h.requested_at, h.held_at, h.expires_at
FROM sluice_core.holds h
LEFT JOIN sluice_core.living_contacts c ON c.workspace_id = h.workspace_id AND c.contact_id = h.contact_id
WHERE (h.answered_by > 0) IS NOT TRUE AND (h.contact_id IS NULL OR c.contact_id IS NOT NULL);

-- With the contact that has a send now.
CREATE VIEW sluice.sends AS
SELECT s.workspace_id, s.send_id, s.group_id, s.contact_id, nullif(s.channel, '') AS channel, s.status, s.reason,
    s.best_attempt AS attempt, s.updated_at
FROM sluice_core.sends s
WHERE (
    SELECT l.merged_into FROM sluice_core.living_contacts l
    WHERE l.workspace_id = s.workspace_id AND l.contact_id = s.contact_id
) IS NULL
UNION ALL
SELECT s.workspace_id, s.send_id, s.group_id, l.merged_into, nullif(s.channel, ''), s.status, s.reason, s.best_attempt, s.updated_at
FROM sluice_core.living_contacts l
JOIN sluice_core.sends s ON s.workspace_id = l.workspace_id AND s.contact_id = l.contact_id
WHERE l.merged_into IS NOT NULL;

CREATE VIEW sluice.send_groups AS
SELECT workspace_id, group_id, status, count(*) AS sends
FROM sluice_core.sends
WHERE group_id IS NOT NULL
GROUP BY workspace_id, group_id, status;

-- `status` is what receipts said of the attempt, `at` when. Of a deleted contact's sends the provider's id is its hash.
CREATE VIEW sluice.send_attempts AS
SELECT workspace_id, send_id, attempt, dispatched_at, claimed_at, status, provider_message_id, error_code, error_message,
    status_at AS at
FROM sluice_core.send_attempts;

GRANT SELECT ON sluice.held_sends, sluice.sends, sluice.send_groups, sluice.send_attempts TO sluice_sender;
REVOKE ALL ON FUNCTION sluice.claim_send(text, uuid, integer), sluice.may_send(text, uuid, text, bytea[]),
    sluice.may_send(text, text, text, bytea[]) FROM PUBLIC;
GRANT EXECUTE ON FUNCTION sluice.claim_send(text, uuid, integer) TO sluice_worker, sluice_sender;
GRANT EXECUTE ON FUNCTION sluice.may_send(text, uuid, text, bytea[]), sluice.may_send(text, text, text, bytea[])
    TO sluice_worker, sluice_reader, sluice_sender;
