-- Counts, and what billing needs to count again and to answer a customer.

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

-- A time zone if this server knows it, else UTC.
CREATE FUNCTION sluice_core.known_zone(zone text) RETURNS text LANGUAGE plpgsql STABLE AS $$
BEGIN
    PERFORM now() AT TIME ZONE zone;
    RETURN zone;
EXCEPTION WHEN invalid_parameter_value THEN
    RETURN 'UTC';
END $$;

-- Active contacts by the day of their proof, in the time zone that holds for the cycle; days without any have no row.
CREATE VIEW sluice.mac_days AS
SELECT c.workspace_id, c.cycle_start, d.day, d.active_contacts
FROM sluice_core.mac_cycles c
CROSS JOIN LATERAL (
    SELECT sluice_core.known_zone(coalesce((
        SELECT h.value #>> '{}' FROM sluice_core.effective_settings h
        WHERE h.workspace_id = c.workspace_id AND h.channel_id = '' AND h.name = 'time_zone' AND h.holds_from <= c.cycle_start
        ORDER BY h.holds_from DESC LIMIT 1
    ), 'UTC')) AS zone OFFSET 0
) AS z
CROSS JOIN LATERAL (
    SELECT (q.quarter AT TIME ZONE z.zone)::date AS day, sum(q.active_contacts)::bigint AS active_contacts
    FROM (
        -- Each half has an index.
        SELECT q.quarter, q.active_contacts FROM sluice_core.mac_quarters q
        WHERE q.workspace_id = c.workspace_id AND q.cycle_start = c.cycle_start AND q.summed
        UNION ALL
        SELECT q.quarter, q.active_contacts FROM sluice_core.mac_quarters q
        WHERE q.workspace_id = c.workspace_id AND q.cycle_start = c.cycle_start AND NOT q.summed
    ) AS q
    GROUP BY 1 HAVING sum(q.active_contacts) <> 0
) AS d;

-- Every message, accepted or dropped, without its content. In two halves, each of which has an index of messages: a
-- query about one contact reads no other's.
CREATE VIEW sluice.mac_proofs AS
SELECT m.workspace_id, i.contact_id, m.message_id, m.event_time, CASE WHEN m.kind = 'broadcast' THEN 'send' ELSE m.kind END AS kind,
    s.source, m.channel_id, m.counted
FROM sluice_core.owned_identities i
CROSS JOIN sluice_core.generations g
JOIN sluice_core.messages m ON m.generation = g.generation AND m.identity_id = i.identity_id AND m.workspace_id = i.workspace_id
LEFT JOIN sluice_core.sends s ON s.workspace_id = m.workspace_id AND s.send_id = m.send_id
WHERE m.drop_reason IS NULL
UNION ALL
SELECT m.workspace_id, i.contact_id, m.message_id, m.event_time, m.kind, NULL, m.channel_id, m.counted
FROM sluice_core.owned_identities i
CROSS JOIN sluice_core.generations g
JOIN sluice_core.messages m ON m.generation = g.generation AND m.identity_id = i.identity_id AND m.workspace_id = i.workspace_id
WHERE m.drop_reason IS NOT NULL;

-- Why a contact is active in a cycle, or is not: its messages there, the counted ones first, the proof on top. Each
-- says what became of it, and what that does to the count. Billing may ask without a right to the private tables, so it
-- runs with its owner's.
CREATE FUNCTION sluice.explain_mac(of_workspace text, of_cycle timestamptz, of_contact uuid)
RETURNS TABLE (message_id uuid, channel text, kind text, event_time timestamptz, counted boolean, explanation text)
LANGUAGE sql STABLE PARALLEL SAFE SECURITY DEFINER SET search_path = pg_catalog AS $$
    SELECT m.message_id, m.channel, CASE WHEN m.kind = 'broadcast' THEN 'send' ELSE m.kind END, m.event_time, m.counted,
        CASE
            WHEN m.drop_reason = 'contact_deleted' THEN 'dropped, as the contact was deleted later: '
            WHEN m.drop_reason IS NOT NULL AND m.block_start IS NULL THEN 'dropped, as its content was erased before the block was lifted: '
            WHEN m.drop_reason IS NOT NULL THEN 'dropped by the block of ' || b.began || ': '
            WHEN m.released THEN 'accepted, as a person released it: '
            WHEN m.kind = 'echo' AND m.block_start IS NOT NULL THEN 'accepted, but to a contact blocked since ' || b.began || ': '
            ELSE 'accepted: '
        END || CASE
            WHEN m.counted AND m.drop_reason IS NOT NULL AND m.block_start IS NOT NULL
                THEN 'counts, as that block began in this cycle (mac_block_effect = next_cycle)'
            WHEN m.counted THEN 'counts'
            WHEN NOT s.channel_counts THEN 'does not count, as its channel does not (count = false)'
            WHEN m.kind = 'reaction' AND NOT s.reactions THEN 'does not count, as no reaction does (count_reactions = false)'
            WHEN m.kind = 'broadcast' AND NOT s.broadcasts THEN 'does not count, as no broadcast does (count_broadcasts = false)'
            WHEN m.drop_reason IS NOT NULL AND m.mac_rule = 'immediate' THEN 'does not count (mac_block_effect = immediate)'
            WHEN m.drop_reason IS NOT NULL
                THEN 'does not count, as that block began before this cycle (mac_block_effect = next_cycle)'
            ELSE 'does not count'
        END || CASE WHEN m.message_id = p.first_message_id THEN '; it is the proof, the earliest that counts in this cycle' ELSE '' END
    FROM sluice_core.mac_cycles c
    JOIN sluice_core.owned_identities i ON i.workspace_id = c.workspace_id
        AND i.contact_id = coalesce(sluice_core.present(of_workspace, of_contact), of_contact)
    CROSS JOIN sluice_core.generations g
    CROSS JOIN LATERAL (
        SELECT m.* FROM sluice_core.messages m
        WHERE m.generation = g.generation AND m.workspace_id = i.workspace_id AND m.identity_id = i.identity_id
            AND m.event_time >= c.cycle_start AND m.event_time < c.cycle_end AND m.drop_reason IS NULL
        UNION ALL
        SELECT m.* FROM sluice_core.messages m
        WHERE m.generation = g.generation AND m.workspace_id = i.workspace_id AND m.identity_id = i.identity_id
            AND m.event_time >= c.cycle_start AND m.event_time < c.cycle_end AND m.drop_reason IS NOT NULL
    ) AS m
    CROSS JOIN LATERAL (
        SELECT to_char(m.block_start AT TIME ZONE 'UTC', 'YYYY-MM-DD"T"HH24:MI:SS"Z"') AS began
    ) AS b
    CROSS JOIN LATERAL (
        SELECT coalesce(bool_or(h.value = 'true') FILTER (WHERE h.name = 'count'), true) AS channel_counts,
            coalesce(bool_or(h.value = 'true') FILTER (WHERE h.name = 'count_reactions'), true) AS reactions,
            coalesce(bool_or(h.value = 'true') FILTER (WHERE h.name = 'count_broadcasts'), true) AS broadcasts
        FROM (SELECT DISTINCT ON (h.name) h.name, h.value FROM sluice_core.effective_settings h
            WHERE NOT m.counted AND h.workspace_id = c.workspace_id AND h.holds_from <= c.cycle_start
                AND (h.channel_id, h.name) IN ((m.channel_id, 'count'), ('', 'count_reactions'), ('', 'count_broadcasts'))
            ORDER BY h.name, h.holds_from DESC) AS h
    ) AS s
    LEFT JOIN sluice_core.mac_contacts p ON p.workspace_id = c.workspace_id AND p.cycle_start = c.cycle_start
        AND p.contact_id = coalesce(sluice_core.present(of_workspace, of_contact), of_contact)
    WHERE c.workspace_id = of_workspace AND c.cycle_start = of_cycle
    ORDER BY m.message_id IS NOT DISTINCT FROM p.first_message_id DESC, m.counted DESC, m.event_time, m.message_id
    LIMIT 1000
$$;

GRANT SELECT ON sluice.mac_counts, sluice.mac_days, sluice.mac_contacts, sluice.mac_adjustments, sluice.mac_proofs TO sluice_billing;
REVOKE ALL ON FUNCTION sluice.explain_mac(text, timestamptz, uuid) FROM PUBLIC;
GRANT EXECUTE ON FUNCTION sluice.explain_mac(text, timestamptz, uuid) TO sluice_worker, sluice_reader, sluice_billing;
