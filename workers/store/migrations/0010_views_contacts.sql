-- What outsiders may read about contacts, messages and counts. Names and columns are part of the contract.

CREATE VIEW sluice.contact_overview AS
SELECT c.workspace_id, c.contact_id, c.display_name, c.avatar_url, c.first_name, c.last_name, c.country, c.language, c.email,
    c.phone, c.assignee,
    CASE
        WHEN c.blocked_at IS NOT NULL THEN 'blocked'
        WHEN c.opened_at > coalesce(greatest(c.closed_at, lower(c.blocks[cardinality(c.blocks)])), '-infinity') THEN 'open'
        ELSE 'closed'
    END AS conversation_status,
    c.profile_id, '{}'::text[] AS tags, c.custom, c.blocked_at IS NOT NULL AS blocked
FROM sluice_core.contacts c;

CREATE VIEW sluice.contact_list AS
SELECT * FROM sluice.contact_overview WHERE NOT blocked;

CREATE VIEW sluice.blocked_contacts AS
SELECT workspace_id, contact_id, blocked_at, blocked_by FROM sluice_core.contacts WHERE blocked_at IS NOT NULL;

CREATE VIEW sluice.drop_ledger AS
SELECT m.workspace_id, i.contact_id, m.message_id, m.channel, m.event_time, m.drop_reason AS reason, m.mac_rule AS rule,
    m.counted, m.decided_at
FROM sluice_core.messages m
JOIN sluice_core.identities i USING (workspace_id, identity_id)
WHERE m.drop_reason IS NOT NULL;

CREATE VIEW sluice.message_conflicts AS
SELECT workspace_id, message_id, times, last_at FROM sluice_core.message_conflicts;

CREATE VIEW sluice.mac_counts AS
SELECT c.workspace_id, c.cycle_start, c.cycle_end, coalesce(s.active_contacts, 0)::bigint AS active_contacts,
    coalesce(a.adjustments, 0)::bigint AS adjustments, c.status, c.closed_at,
    (c.revision + coalesce(s.revision, 0))::bigint AS revision
FROM sluice_core.mac_cycles c
LEFT JOIN LATERAL (
    SELECT sum(active_contacts) AS active_contacts, sum(revision) AS revision FROM sluice_core.mac_shards s
    WHERE s.workspace_id = c.workspace_id AND s.cycle_start = c.cycle_start
) AS s ON true
LEFT JOIN LATERAL (
    SELECT sum(amount) AS adjustments FROM sluice_core.mac_adjustments a
    WHERE a.workspace_id = c.workspace_id AND a.cycle_start = c.cycle_start
) AS a ON true;

CREATE VIEW sluice.mac_contacts AS
SELECT workspace_id, cycle_start, contact_id, first_message_id, first_counted_at FROM sluice_core.mac_contacts;

CREATE VIEW sluice.mac_adjustments AS
SELECT adjustment_id, workspace_id, cycle_start, contact_id, amount, cause, at FROM sluice_core.mac_adjustments;

-- Why a contact is active in a cycle, or is not: its messages there, the counted ones first, the proof on top. Billing may
-- ask without a right to the private tables, so it runs with its owner's.
CREATE FUNCTION sluice.explain_mac(of_workspace text, of_cycle timestamptz, of_contact uuid)
RETURNS TABLE (message_id uuid, channel text, kind text, event_time timestamptz, counted boolean, explanation text)
LANGUAGE sql STABLE PARALLEL SAFE SECURITY DEFINER SET search_path = pg_catalog AS $$
    SELECT m.message_id, m.channel, m.kind, m.event_time, m.counted,
        CASE
            WHEN m.message_id = p.first_message_id THEN 'proof: the earliest counted message of the cycle'
            WHEN m.counted AND m.drop_reason IS NOT NULL THEN 'dropped, but its block began in this cycle'
            WHEN m.counted THEN 'counted'
            WHEN m.drop_reason IS NOT NULL THEN 'dropped: ' || m.drop_reason || ' (' || m.mac_rule || ')'
            WHEN m.kind = 'echo' AND m.block_start IS NOT NULL THEN 'written by staff to a blocked contact'
            ELSE 'not counted by the settings of the workspace or channel'
        END
    FROM sluice_core.mac_cycles c
    JOIN sluice_core.identities i ON i.workspace_id = c.workspace_id AND i.contact_id = of_contact
    CROSS JOIN LATERAL (
        SELECT m.* FROM sluice_core.messages m
        WHERE m.workspace_id = i.workspace_id AND m.identity_id = i.identity_id
            AND m.event_time >= c.cycle_start AND m.event_time < c.cycle_end AND m.drop_reason IS NULL
        UNION ALL
        SELECT m.* FROM sluice_core.messages m
        WHERE m.workspace_id = i.workspace_id AND m.identity_id = i.identity_id
            AND m.event_time >= c.cycle_start AND m.event_time < c.cycle_end AND m.drop_reason IS NOT NULL
    ) AS m
    LEFT JOIN sluice_core.mac_contacts p ON p.workspace_id = c.workspace_id AND p.cycle_start = c.cycle_start
        AND p.contact_id = of_contact
    WHERE c.workspace_id = of_workspace AND c.cycle_start = of_cycle
    ORDER BY m.counted DESC, m.event_time, m.message_id
    LIMIT 1000
$$;
