-- Why a contact counts in a cycle, or does not.

-- Whom a contact's messages count for now: itself, or whom it was merged into, also after a deletion. Null: nobody knows it.
CREATE FUNCTION sluice_core.counts_as(of_workspace text, of_contact uuid) RETURNS uuid
LANGUAGE sql STABLE PARALLEL SAFE SET search_path = sluice_core, pg_temp AS $$
    SELECT coalesce(
        present(of_workspace, of_contact),
        (
            WITH RECURSIVE chain (contact_id, hops) AS (
                SELECT m.survivor_id, 1 FROM merges m
                WHERE m.workspace_id = of_workspace AND m.loser_id = of_contact AND m.undone_at IS NULL
                UNION ALL
                SELECT m.survivor_id, c.hops + 1 FROM chain c
                JOIN merges m ON m.workspace_id = of_workspace AND m.loser_id = c.contact_id AND m.undone_at IS NULL
                WHERE c.hops < 1000
            )
            SELECT contact_id FROM chain ORDER BY hops DESC LIMIT 1
        ),
        (SELECT d.contact_id FROM deleted_contacts d WHERE d.workspace_id = of_workspace AND d.contact_id = of_contact)
    )
$$;

CREATE FUNCTION sluice_core.as_text(moment timestamptz) RETURNS text LANGUAGE sql STABLE PARALLEL SAFE
    RETURN to_char(moment AT TIME ZONE 'UTC', 'YYYY-MM-DD"T"HH24:MI:SS"Z"');

-- The rule that decided about a message, in words; after a number of messages.
CREATE FUNCTION sluice_core.rule_in_words(rule text) RETURNS text LANGUAGE sql IMMUTABLE PARALLEL SAFE
    RETURN CASE rule
        WHEN 'test_channel' THEN 'on a test channel (count = false)'
        WHEN 'reactions_off' THEN 'as no reaction counts (count_reactions = false)'
        WHEN 'broadcasts_off' THEN 'as no broadcast counts (count_broadcasts = false)'
        WHEN 'echo_to_blocked' THEN 'by staff, while the contact was blocked'
        WHEN 'blocked_at_once' THEN 'dropped by a block (mac_block_effect = immediate)'
        WHEN 'blocked_before' THEN 'dropped by a block that began before this cycle'
    END;

-- The contact's messages in the cycle, the counted ones first, the proof on top. Each says what became of it, and what
-- that does to the count. `active`, `verdict` and `counted_as` are about the contact and the same in every row; without a message
-- in the cycle there is one row, and the columns of messages are null. Billing may ask without a right to the private tables, so it
-- runs with its owner's.
CREATE FUNCTION sluice.explain_mac(of_workspace text, of_cycle timestamptz, of_contact uuid)
RETURNS TABLE (
    message_id uuid, channel text, kind text, event_time timestamptz, counted boolean, explanation text,
    rule text, active boolean, verdict text, counted_as uuid
)
LANGUAGE sql STABLE PARALLEL SAFE SECURITY DEFINER SET search_path = pg_catalog SET plan_cache_mode = auto AS $$
    WITH asked AS MATERIALIZED (
        SELECT c.cycle_end, c.status, c.closed_by, c.closes_at, c.closed_at, w.contact_id AS present_id,
            -- A closed cycle keeps the id that was counted.
            CASE WHEN EXISTS (
                SELECT FROM sluice_core.mac_contacts p
                WHERE p.workspace_id = of_workspace AND p.cycle_start = of_cycle AND p.contact_id = of_contact
            ) OR EXISTS (
                SELECT FROM sluice_core.mac_adjustments a
                WHERE a.workspace_id = of_workspace AND a.cycle_start = of_cycle AND a.contact_id = of_contact
            ) THEN of_contact ELSE w.contact_id END AS contact_id
        FROM sluice_core.mac_cycles c
        CROSS JOIN LATERAL (SELECT sluice_core.counts_as(of_workspace, of_contact) AS contact_id OFFSET 0) AS w
        WHERE c.workspace_id = of_workspace AND c.cycle_start = of_cycle AND w.contact_id IS NOT NULL
    ), subject AS MATERIALIZED (
        SELECT s.cycle_end, s.status, s.present_id, s.contact_id, p.first_message_id, p.first_counted_at, a.adjustments, a.amount,
            -- What came from then on is late: by the time of its record, or of its transaction if a person closed the cycle.
            CASE WHEN s.closed_by IS NULL THEN s.closes_at END AS late_from,
            CASE WHEN s.closed_by IS NOT NULL THEN s.closed_at END AS late_from_applied,
            (
                SELECT o.contact_id FROM sluice_core.contacts l
                JOIN sluice_core.mac_contacts o ON o.workspace_id = of_workspace AND o.cycle_start = of_cycle AND o.contact_id = l.contact_id
                WHERE s.status = 'closed' AND p.contact_id IS NULL AND l.workspace_id = of_workspace AND l.merged_into = s.present_id
                ORDER BY o.first_counted_at LIMIT 1
            ) AS merged_later,
            EXISTS (
                SELECT FROM sluice_core.deleted_contacts d
                WHERE d.workspace_id = of_workspace AND d.contact_id IN (of_contact, s.present_id)
            ) AS deleted
        FROM asked s
        LEFT JOIN sluice_core.mac_contacts p
            ON p.workspace_id = of_workspace AND p.cycle_start = of_cycle AND p.contact_id = s.contact_id
        CROSS JOIN LATERAL (
            SELECT coalesce(sum(a.amount), 0) AS amount,
                string_agg(to_char(a.amount, 'FMSG9') || ' (' || a.cause || ')', ', ' ORDER BY a.adjustment_id) AS adjustments
            FROM sluice_core.mac_adjustments a
            WHERE a.workspace_id = of_workspace AND a.cycle_start = of_cycle AND a.contact_id = s.contact_id
        ) AS a
    ), found AS MATERIALIZED (
        SELECT m.message_id, m.channel, m.kind, m.event_time, m.counted, m.drop_reason, m.block_start, m.released,
            sluice_core.as_text(m.block_start) AS began,
            CASE
                WHEN m.message_id = (SELECT first_message_id FROM subject) THEN 'proof'
                WHEN m.counted AND (
                    greatest(m.recorded_at, m.release_recorded_at) >= (SELECT late_from FROM subject)
                    OR m.decided_at >= (SELECT late_from_applied FROM subject)
                ) THEN 'late'
                WHEN m.counted THEN 'counted'
                WHEN NOT s.channel_counts THEN 'test_channel'
                WHEN m.kind = 'reaction' AND NOT s.reactions THEN 'reactions_off'
                WHEN m.kind = 'broadcast' AND NOT s.broadcasts THEN 'broadcasts_off'
                WHEN m.drop_reason IS NOT NULL AND m.mac_rule = 'immediate' THEN 'blocked_at_once'
                WHEN m.drop_reason IS NOT NULL THEN 'blocked_before'
                ELSE 'echo_to_blocked'
            END AS rule
        FROM sluice_core.owned_identities i
        CROSS JOIN sluice_core.generations g
        CROSS JOIN LATERAL (
            SELECT m.* FROM sluice_core.messages m
            WHERE m.generation = g.generation AND m.workspace_id = i.workspace_id AND m.identity_id = i.identity_id
                AND m.event_time >= of_cycle AND m.event_time < (SELECT cycle_end FROM subject) AND m.drop_reason IS NULL
            UNION ALL
            SELECT m.* FROM sluice_core.messages m
            WHERE m.generation = g.generation AND m.workspace_id = i.workspace_id AND m.identity_id = i.identity_id
                AND m.event_time >= of_cycle AND m.event_time < (SELECT cycle_end FROM subject) AND m.drop_reason IS NOT NULL
        ) AS m
        CROSS JOIN LATERAL (
            SELECT coalesce(bool_or(h.value = 'true') FILTER (WHERE h.name = 'count'), true) AS channel_counts,
                coalesce(bool_or(h.value = 'true') FILTER (WHERE h.name = 'count_reactions'), true) AS reactions,
                coalesce(bool_or(h.value = 'true') FILTER (WHERE h.name = 'count_broadcasts'), true) AS broadcasts
            FROM (SELECT DISTINCT ON (h.name) h.name, h.value FROM sluice_core.effective_settings h
                WHERE NOT m.counted AND h.workspace_id = of_workspace AND h.holds_from <= of_cycle
                    AND (h.channel_id, h.name) IN ((m.channel_id, 'count'), ('', 'count_reactions'), ('', 'count_broadcasts'))
                ORDER BY h.name, h.holds_from DESC) AS h
        ) AS s
        WHERE i.workspace_id = of_workspace AND i.contact_id = (SELECT present_id FROM subject)
    ), told AS (
        SELECT coalesce(sum(r.messages), 0) AS messages, bool_or(r.counts AND r.rule <> 'late') AS counts,
            bool_or(r.rule = 'late') AS late, max(r.kind) FILTER (WHERE r.rule = 'proof') AS kind,
            string_agg(r.messages || ' ' || sluice_core.rule_in_words(r.rule), ', ' ORDER BY r.rule) AS reasons
        FROM (SELECT f.rule, count(*) AS messages, bool_or(f.counted) AS counts, max(f.kind) AS kind FROM found f GROUP BY f.rule) AS r
    ), verdict AS (
        SELECT s.*, (s.first_message_id IS NOT NULL)::int + s.amount > 0 AS active, CASE
            WHEN s.first_message_id IS NOT NULL THEN CASE WHEN s.adjustments IS NULL THEN 'counted' ELSE 'counted when the cycle closed' END
                || ', by the ' || CASE t.kind WHEN 'echo' THEN 'message of staff' ELSE coalesce(t.kind, 'message') END
                || ' of ' || sluice_core.as_text(s.first_counted_at)
            WHEN s.merged_later IS NOT NULL THEN 'not counted when the cycle closed, but ' || s.merged_later || ', which was merged into it later'
            WHEN t.messages = 0 THEN 'not counted: none of its messages lies in this cycle'
            WHEN s.status = 'closed' AND (t.counts OR t.late) THEN 'not counted when the cycle closed: what makes it count came later'
            WHEN t.late AND NOT t.counts THEN 'not counted: what counts came after the closing instant, and becomes an adjustment'
            WHEN t.counts THEN 'not counted yet: its messages are still being counted again'
            ELSE 'not counted: no message of its ' || t.messages || ' in this cycle counts: ' || t.reasons
        END || CASE
            WHEN s.contact_id <> of_contact THEN '; it was merged into ' || s.contact_id || ' and is the same contact'
            WHEN s.present_id <> of_contact THEN '; it was merged into ' || s.present_id || ' after this cycle had closed'
            ELSE ''
        END || coalesce('; adjusted since: ' || s.adjustments, '') || CASE WHEN s.deleted THEN '; it was deleted, which lowers no count' ELSE '' END AS verdict
        FROM subject s CROSS JOIN told t
    )
    SELECT f.message_id, f.channel, CASE WHEN f.kind = 'broadcast' THEN 'send' ELSE f.kind END, f.event_time, f.counted,
        CASE
            WHEN f.message_id IS NULL THEN NULL
            WHEN f.drop_reason = 'contact_deleted' THEN 'dropped, as the contact was deleted later: '
            WHEN f.drop_reason IS NOT NULL AND f.block_start IS NULL THEN 'dropped, as its content was erased before the block was lifted: '
            WHEN f.drop_reason IS NOT NULL THEN 'dropped by the block of ' || f.began || ': '
            WHEN f.released THEN 'accepted, as a person released it: '
            WHEN f.kind = 'echo' AND f.block_start IS NOT NULL THEN 'accepted, but to a contact blocked since ' || f.began || ': '
            ELSE 'accepted: '
        END || CASE
            WHEN f.counted AND f.drop_reason IS NOT NULL AND f.block_start IS NOT NULL
                THEN 'counts, as that block began in this cycle (mac_block_effect = next_cycle)'
            WHEN f.rule = 'late' THEN 'counts, but came after the closing instant'
            WHEN f.counted THEN 'counts'
            WHEN f.rule = 'test_channel' THEN 'does not count, as its channel does not (count = false)'
            WHEN f.rule = 'reactions_off' THEN 'does not count, as no reaction does (count_reactions = false)'
            WHEN f.rule = 'broadcasts_off' THEN 'does not count, as no broadcast does (count_broadcasts = false)'
            WHEN f.rule = 'blocked_at_once' THEN 'does not count (mac_block_effect = immediate)'
            WHEN f.rule = 'blocked_before' THEN 'does not count, as that block began before this cycle (mac_block_effect = next_cycle)'
            ELSE 'does not count'
        END || CASE
            WHEN f.rule = 'proof' AND v.status = 'closed' THEN '; it is the proof, the earliest that counted when the cycle closed'
            WHEN f.rule = 'proof' THEN '; it is the proof, the earliest that counts in this cycle'
            ELSE ''
        END,
        CASE WHEN f.message_id IS NULL THEN 'not_in_cycle' ELSE f.rule END, v.active, v.verdict, v.contact_id
    FROM verdict v LEFT JOIN found f ON true
    ORDER BY f.rule IS NOT DISTINCT FROM 'proof' DESC, f.counted DESC, f.event_time, f.message_id
    LIMIT 1000
$$;

REVOKE ALL ON FUNCTION sluice.explain_mac(text, timestamptz, uuid) FROM PUBLIC;
GRANT EXECUTE ON FUNCTION sluice.explain_mac(text, timestamptz, uuid) TO sluice_worker, sluice_reader, sluice_billing;
