-- What can be read of sends, and what senders ask before they send.

-- The grounds to hold a send to a contact; `since` is when each began for this contact. A profile, status or company that cannot
-- be found is a ground as well: failing to find out holds.
CREATE VIEW sluice_core.protections AS
SELECT c.workspace_id, c.contact_id, 'protection_unknown' AS code, 'protection_unknown' AS key, NULL::timestamptz AS since
FROM sluice_core.contacts c
LEFT JOIN sluice_core.profiles p ON p.workspace_id = c.workspace_id AND p.profile_id = c.profile_id
WHERE c.profile_id IS NOT NULL AND p.profile_id IS NULL
UNION ALL
SELECT c.workspace_id, c.contact_id,
    CASE WHEN s.protected THEN 'status_protected' ELSE 'protection_unknown' END,
    CASE WHEN s.protected THEN 'status_protected:' || p.status ELSE 'protection_unknown' END,
    CASE WHEN s.protected THEN greatest(s.protected_since, p.status_at, c.profile_at) END
FROM sluice_core.contacts c
JOIN sluice_core.profiles p ON p.workspace_id = c.workspace_id AND p.profile_id = c.profile_id
LEFT JOIN sluice_core.profile_statuses s ON s.workspace_id = p.workspace_id AND s.name = p.status
WHERE p.status IS NOT NULL AND s.protected IS NOT FALSE
UNION ALL
SELECT c.workspace_id, c.contact_id,
    CASE WHEN o.protected THEN 'company_protected' ELSE 'protection_unknown' END,
    CASE WHEN o.protected THEN 'company_protected:' || m.company_id ELSE 'protection_unknown' END,
    CASE WHEN o.protected THEN greatest(o.protected_since, m.since, c.profile_at) END
FROM sluice_core.contacts c
JOIN sluice_core.profile_companies m ON m.workspace_id = c.workspace_id AND m.profile_id = c.profile_id
LEFT JOIN sluice_core.companies o ON o.workspace_id = m.workspace_id AND o.company_id = m.company_id
WHERE o.protected IS NOT FALSE;

-- Why a send to these people may not go now: the first refusal in the rules' order, else the codes of protections that nobody
-- answered for, else null. The same question as workers/rules/sends.py, asked in the same order.
CREATE FUNCTION sluice_core.obstacle(
    workspace_id text, people uuid[], requested_at timestamptz, opted_out boolean, run_halted boolean,
    channel_obstacle text, confirmed_keys text[], confirmed_before timestamptz
) RETURNS text LANGUAGE sql STABLE AS $$
    SELECT CASE
        WHEN (SELECT count(*) FROM sluice_core.contacts c WHERE c.workspace_id = $1 AND c.contact_id = ANY ($2))
            < (SELECT count(DISTINCT p) FROM unnest($2) AS p) THEN 'contact_deleted'
        WHEN EXISTS (
            SELECT FROM sluice_core.contacts c CROSS JOIN unnest(c.blocks) AS block
            WHERE c.workspace_id = $1 AND c.contact_id = ANY ($2) AND (upper_inf(block) OR block @> $3)
        ) THEN 'contact_blocked'
        WHEN $4 THEN 'opted_out'
        WHEN $5 THEN 'run_halted'
        WHEN $6 IS NOT NULL THEN $6
        ELSE (
            SELECT string_agg(DISTINCT p.code, ',' ORDER BY p.code) FROM sluice_core.protections p
            WHERE p.workspace_id = $1 AND p.contact_id = ANY ($2)
                AND p.key <> ALL ($7) AND NOT coalesce(p.since < $8, false)
        )
    END
$$;

-- The last question before the provider. Grants each attempt once, else says why not. A denial for a reason that the send's
-- status does not show yet leaves a mark, of which upkeep makes a fact.
CREATE FUNCTION sluice.claim_send(workspace_id text, send_id uuid, attempt integer)
RETURNS TABLE (granted boolean, reason text)
LANGUAGE plpgsql SECURITY DEFINER SET search_path = sluice_core, pg_temp AS $$
#variable_conflict use_column
DECLARE
    send sends;
    claimed timestamptz;
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
        AND i.scope = send.scope AND i.lookup = send.lookup;
    -- People first, then the send: who blocks or merges them holds their rows for update.
    PERFORM FROM contacts c WHERE c.workspace_id = $1 AND c.contact_id IN (send.contact_id, seen)
        ORDER BY c.contact_id FOR KEY SHARE;
    SELECT * INTO send FROM sends s WHERE s.workspace_id = $1 AND s.send_id = $2 FOR UPDATE;
    SELECT a.claimed_at INTO claimed FROM send_attempts a
        WHERE a.workspace_id = $1 AND a.send_id = $2 AND a.attempt = $3;
    why := CASE
        WHEN NOT FOUND THEN 'not_dispatched'
        WHEN claimed IS NOT NULL THEN 'already_claimed'
        WHEN $3 < send.attempt THEN 'superseded'
        WHEN send.status = 'held' THEN array_to_string(send.reasons, ',')
        WHEN send.status <> 'dispatched' THEN coalesce(send.reason, send.status)
    END;
    IF why IS NOT NULL THEN
        RETURN QUERY SELECT false, why;
        RETURN;
    END IF;
    SELECT * INTO owner FROM identities i WHERE i.workspace_id = $1 AND i.channel = send.channel
        AND i.scope = send.scope AND i.lookup = send.lookup;
    why := CASE WHEN owner.contact_id IS DISTINCT FROM seen THEN 'contact_changed' ELSE obstacle(
        $1, array_remove(ARRAY[send.contact_id, owner.contact_id], NULL), send.requested_at,
        coalesce(owner.opted_out, false),
        EXISTS (SELECT FROM workflow_runs r WHERE r.workspace_id = $1 AND r.run_id = send.run_id
            AND (r.state IN ('halted', 'refused') OR r.told IS NOT NULL)),
        CASE WHEN send.channel NOT IN ('whatsapp', 'sms', 'email') AND owner.connected_at IS NULL
            THEN 'contact_must_initiate' END,
        send.confirmed_keys, send.confirmed_before
    ) END;
    UPDATE sends s SET recheck_at = CASE WHEN why IS NOT NULL THEN clock_timestamp() END
        WHERE s.workspace_id = $1 AND s.send_id = $2 AND (why IS NOT NULL OR s.recheck_at IS NOT NULL);
    IF why IS NULL THEN
        UPDATE send_attempts a SET claimed_at = clock_timestamp()
            WHERE a.workspace_id = $1 AND a.send_id = $2 AND a.attempt = $3;
    END IF;
    RETURN QUERY SELECT why IS NULL, why;
END $$;

-- Would a send to this contact be dispatched now? `channel` is a kind, or the id of one of the workspace's channels.
CREATE FUNCTION sluice.may_send(workspace_id text, contact_id uuid, channel text)
RETURNS TABLE (allowed boolean, reason text)
LANGUAGE plpgsql STABLE SECURITY DEFINER SET search_path = sluice_core, pg_temp AS $$
#variable_conflict use_column
DECLARE
    kind text := coalesce((SELECT c.channel FROM channels c WHERE c.workspace_id = $1 AND c.channel_id = $3), $3);
    contact contacts;
    target identities;
BEGIN
    SELECT * INTO contact FROM contacts c WHERE c.workspace_id = $1 AND c.contact_id = $2;
    IF NOT FOUND THEN
        RETURN QUERY SELECT false, 'unknown_contact';
        RETURN;
    END IF;
    SELECT * INTO target FROM identities i
        WHERE i.workspace_id = $1 AND i.contact_id = $2 AND i.channel = kind AND (i.scope IN ('', $3) OR kind = $3)
        ORDER BY i.connected_at IS NULL, i.identity_id DESC LIMIT 1;
    IF NOT FOUND THEN
        target.address := CASE WHEN kind = 'email' THEN contact.email WHEN kind IN ('whatsapp', 'sms') THEN contact.phone END;
    END IF;
    IF target.address IS NULL THEN
        RETURN QUERY SELECT why IS NULL, why FROM (
            SELECT obstacle($1, ARRAY[$2], now(), false, false, 'contact_must_initiate', '{}', NULL) AS why) AS answer;
    ELSE
        RETURN QUERY SELECT why IS NULL, why FROM (SELECT may_reach($1, $2, kind, target.scope, target.address) AS why) AS answer;
    END IF;
END $$;

-- The same for an address as Sluice keeps it: E.164 for numbers. An unknown number or e-mail address may be written to.
CREATE FUNCTION sluice.may_send(workspace_id text, address text, channel text)
RETURNS TABLE (allowed boolean, reason text)
LANGUAGE plpgsql STABLE SECURITY DEFINER SET search_path = sluice_core, pg_temp AS $$
#variable_conflict use_column
DECLARE
    kind text := coalesce((SELECT c.channel FROM channels c WHERE c.workspace_id = $1 AND c.channel_id = $3), $3);
BEGIN
    -- An untyped literal that is a contact's id finds this function, not the other one.
    IF $2 ~ '^[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}$'
        AND EXISTS (SELECT FROM contacts c WHERE c.workspace_id = $1 AND c.contact_id = $2::uuid) THEN
        RETURN QUERY SELECT * FROM sluice.may_send($1, $2::uuid, $3);
        RETURN;
    END IF;
    RETURN QUERY SELECT why IS NULL, why FROM (SELECT may_reach($1, NULL, kind, nullif($3, kind), $2) AS why) AS answer;
END $$;

-- Why an address may not be written to; judged for the contact, if one is meant, and for whoever owns the address. `scope`
-- NULL: on whichever channel of that kind, and the strictest answer counts.
CREATE FUNCTION sluice_core.may_reach(workspace_id text, contact_id uuid, kind text, scope text, address text)
RETURNS text LANGUAGE sql STABLE SET search_path = sluice_core, pg_temp AS $$
    WITH owners AS (
        SELECT i.contact_id, i.connected_at, i.opted_out FROM identities i
        WHERE i.workspace_id = $1 AND i.channel = $3
            AND (i.scope = '' OR $4 IS NULL OR i.scope = $4)
            AND (i.lookup = CASE WHEN $3 = 'email' THEN lower($5) ELSE $5 END OR i.address = $5)
    )
    SELECT obstacle(
        $1, array_remove((SELECT array_agg(o.contact_id) FROM owners o) || $2, NULL), now(),
        coalesce((SELECT bool_or(o.opted_out) FROM owners o), false), false,
        CASE
            WHEN $3 IN ('whatsapp', 'sms') AND $5 !~ '^\+?[0-9]{7,15}$' THEN 'bad_address'
            WHEN $3 = 'email' AND $5 !~ '^[^\s]+@[^\s]+$' THEN 'bad_address'
            WHEN $3 NOT IN ('whatsapp', 'sms', 'email') AND NOT coalesce((SELECT bool_and(o.connected_at IS NOT NULL) FROM owners o), false)
                THEN 'contact_must_initiate'
        END,
        '{}', NULL
    )
$$;

REVOKE ALL ON FUNCTION sluice.claim_send(text, uuid, integer), sluice.may_send(text, uuid, text),
    sluice.may_send(text, text, text) FROM PUBLIC;
GRANT EXECUTE ON FUNCTION sluice.claim_send(text, uuid, integer) TO sluice_worker;
GRANT EXECUTE ON FUNCTION sluice.may_send(text, uuid, text), sluice.may_send(text, text, text) TO sluice_worker, sluice_reader;

CREATE VIEW sluice.held_sends AS
SELECT s.workspace_id, s.send_id, s.group_id, s.contact_id, c.profile_id, s.channel, s.content, s.reasons,
    NOT EXISTS (
        SELECT FROM sluice_core.protections p
        WHERE p.workspace_id = s.workspace_id AND p.contact_id IN (s.contact_id, i.contact_id)
            AND p.key <> ALL (s.confirmed_keys) AND NOT coalesce(p.since < s.confirmed_before, false)
    ) AS releasable,
    s.requested_by, s.requested_at, s.held_at, s.expires_at
FROM sluice_core.sends s
LEFT JOIN sluice_core.contacts c ON c.workspace_id = s.workspace_id AND c.contact_id = s.contact_id
LEFT JOIN sluice_core.identities i ON i.workspace_id = s.workspace_id AND i.channel = s.channel AND i.scope = s.scope
    AND i.lookup = s.lookup
WHERE s.status = 'held';

CREATE VIEW sluice.sends AS
SELECT workspace_id, send_id, group_id, contact_id, channel, status, reason, best_attempt AS attempt, updated_at
FROM sluice_core.sends;

CREATE VIEW sluice.send_groups AS
SELECT workspace_id, group_id, status, count(*) AS sends
FROM sluice_core.sends
WHERE group_id IS NOT NULL
GROUP BY workspace_id, group_id, status;

CREATE VIEW sluice.contact_channels AS
SELECT i.workspace_id, i.contact_id, i.channel, coalesce(i.channel_id, nullif(i.scope, '')) AS channel_id, i.address,
    CASE
        WHEN i.connected_at IS NOT NULL THEN 'active'
        WHEN i.channel IN ('whatsapp', 'sms', 'email') THEN 'inactive'
        ELSE 'unavailable'
    END AS state,
    i.connected_at, i.opted_out
FROM sluice_core.identities i
UNION ALL
SELECT f.workspace_id, f.contact_id, f.channel, f.channel_id, f.address,
    CASE WHEN f.address IS NULL THEN 'unavailable' ELSE 'inactive' END, NULL, false
FROM (
    SELECT c.workspace_id, c.contact_id, h.channel, h.channel_id,
        CASE WHEN h.channel = 'email' THEN c.email WHEN h.channel IN ('whatsapp', 'sms') THEN c.phone END AS address
    FROM sluice_core.contacts c
    JOIN sluice_core.channels h ON h.workspace_id = c.workspace_id
    WHERE NOT EXISTS (
        SELECT FROM sluice_core.identities i
        WHERE i.workspace_id = c.workspace_id AND i.contact_id = c.contact_id AND i.channel = h.channel
            AND i.scope IN ('', h.channel_id)
    )
) AS f;
