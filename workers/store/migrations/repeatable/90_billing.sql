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

-- How far each input partition is applied for closing: past the highest Kafka timestamp of what is applied, and past what lies five
-- minutes before its end was read, once everything before that end is applied.
CREATE VIEW sluice_core.input_positions AS
SELECT e.topic, e.partition, coalesce(p.next_offset, 0) AS next_offset, e.end_offset, e.read_at, greatest(
    p.watermark, CASE
        WHEN coalesce(p.next_offset, 0) = e.end_offset THEN e.read_at - interval '5 minutes'
        -- It was applied past the end that was read. Otherwise its topic was created again, and nothing of it is applied.
        WHEN p.next_offset > e.end_offset AND p.updated_at >= e.read_at THEN e.read_at - interval '5 minutes'
    END
) AS passed
FROM sluice_core.input_ends e LEFT JOIN sluice_core.progress p USING (topic, partition);

-- Input partitions that hold cycles open past their closing instant: up to when they are applied, how many cycles, and since when.
CREATE VIEW sluice.closing_delays AS
SELECT i.topic, i.partition, i.passed AS applied_until, count(*) AS cycles, min(c.closes_at) AS since
FROM sluice_core.input_positions i
JOIN sluice_core.mac_cycles c ON c.status = 'open' AND c.closes_at < now() - interval '6 minutes'
    AND (i.passed IS NULL OR i.passed < c.closes_at)
GROUP BY i.topic, i.partition, i.passed;

CREATE VIEW sluice.mac_contacts AS
SELECT workspace_id, cycle_start, contact_id, first_message_id, first_counted_at FROM sluice_core.mac_contacts;

CREATE VIEW sluice.mac_adjustments AS
SELECT adjustment_id, workspace_id, cycle_start, contact_id, amount, cause, at, fact_id FROM sluice_core.mac_adjustments;

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

GRANT SELECT ON sluice.mac_counts, sluice.mac_days, sluice.mac_contacts, sluice.mac_adjustments, sluice.mac_proofs TO sluice_billing;
