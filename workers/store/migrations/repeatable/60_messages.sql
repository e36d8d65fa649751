-- Messages. Queries go by way of the generations, because every index of messages begins with them.

-- What a transaction asks before it stores messages. The first row is the generation to store into, and no other is
-- opened before the transaction ends; each row after it is one of the messages that are stored already. To lock and to
-- look up are two statements, because only the second one's snapshot is younger than the wait.
--
-- Each id is one look-up in a unique index, whatever PostgreSQL estimates. A join leaves it the choice, and while a
-- table has no statistics yet, it chose to read and sort all of the open generation, for every poll until it planned
-- again.
CREATE FUNCTION sluice_core.look_up_messages(message_ids uuid[])
RETURNS TABLE (generation int, message_id uuid, content_digest bigint)
LANGUAGE plpgsql VOLATILE ROWS 10 SET search_path = sluice_core, pg_temp AS $$
#variable_conflict use_column
BEGIN
    PERFORM pg_advisory_xact_lock_shared(hashtext('sluice.generations'));
    RETURN QUERY SELECT g.generation, NULL::uuid, NULL::bigint FROM generations g WHERE g.closed_at IS NULL;
    RETURN QUERY SELECT m.generation, m.message_id, m.content_digest
    FROM generations g CROSS JOIN unnest(message_ids) AS w (message_id)
    CROSS JOIN LATERAL (
        SELECT m.generation, m.message_id, m.content_digest FROM messages m
        WHERE m.generation = g.generation AND m.message_id = w.message_id LIMIT 1
    ) AS m
    WHERE g.sealed_at IS NULL;
    -- After the exact look, not before it: a generation that is sealed in between is looked into twice, and none not at
    -- all.
    IF NOT EXISTS (SELECT FROM generations WHERE sealed_at IS NOT NULL) THEN
        RETURN;
    END IF;
    -- A scalar subquery is always one look-up in the primary key; a join could become a scan of all fingerprints.
    RETURN QUERY WITH suspects AS MATERIALIZED (
        SELECT w.message_id, e.era
        FROM unnest(message_ids) AS w (message_id)
        CROSS JOIN LATERAL uuid_send(w.message_id) AS b
        CROSS JOIN (SELECT DISTINCT generation / 32 AS era FROM generations WHERE sealed_at IS NOT NULL) AS e
        WHERE position(substr(b, 3, 3) IN (
            SELECT p.fingerprints FROM message_fingerprints p WHERE p.era = e.era AND p.bucket = bucket(w.message_id)
        )) > 0
    )
    SELECT m.* FROM suspects s CROSS JOIN LATERAL (
        SELECT m.generation, m.message_id, m.content_digest FROM generations g
        JOIN messages m ON m.generation = g.generation AND m.message_id = s.message_id
        WHERE g.generation BETWEEN s.era * 32 AND s.era * 32 + 31 AND g.sealed_at IS NOT NULL
        ORDER BY g.generation DESC LIMIT 1
    ) AS m;
END $$;

-- Dropped messages whose content is kept. `released_by` null: nobody released it. Else the number of the work that
-- does, of several the first: a released message keeps its content, and appears when the step runs.
CREATE VIEW sluice_core.releasable AS
SELECT m.generation, m.workspace_id, i.contact_id, coalesce(i.home_id, i.contact_id) AS home_id, i.address, m.message_id, m.identity_id, m.channel_id, m.channel, m.kind,
    m.event_time, m.drop_reason, m.block_start, m.released, m.counted, m.revision, m.body, m.erase_at, m.recorded_at, m.release_recorded_at,
    (
        SELECT min(w.number) FROM sluice_core.pending_work w
        WHERE w.workspace_id = i.workspace_id AND w.kind = 'release messages' AND w.subject IN (i.contact_id::text, i.home_id::text)
            AND m.decided_at <= (w.details ->> 'at')::timestamptz
            AND (
                m.event_time >= (w.details ->> 'since')::timestamptz AND m.event_time < (w.details ->> 'until')::timestamptz
                OR m.message_id = ANY (ARRAY(SELECT json_array_elements_text(w.details -> 'message_ids'))::uuid[])
            )
    ) AS released_by
FROM sluice_core.messages m
JOIN sluice_core.identities i ON i.workspace_id = m.workspace_id AND i.identity_id = m.identity_id
WHERE m.drop_reason = 'contact_blocked' AND m.body IS NOT NULL;

CREATE VIEW sluice.drop_ledger AS
SELECT m.workspace_id, i.contact_id, m.message_id, m.channel, m.event_time, m.drop_reason AS reason, m.mac_rule AS rule,
    m.counted, m.decided_at
FROM sluice_core.owned_identities i
CROSS JOIN sluice_core.generations g
JOIN sluice_core.messages m ON m.generation = g.generation AND m.identity_id = i.identity_id AND m.workspace_id = i.workspace_id
WHERE m.drop_reason IS NOT NULL;

CREATE VIEW sluice.message_conflicts AS
SELECT workspace_id, message_id, times, last_at FROM sluice_core.message_conflicts;

-- Whether a message is among those that a contact's blocks drop, whatever is stored of it yet.
CREATE FUNCTION sluice_core.to_be_dropped(
    kind text, released boolean, of_workspace text, of_contact uuid, blocks tstzrange[], blocks_since timestamptz, at timestamptz
) RETURNS boolean LANGUAGE sql STABLE PARALLEL SAFE
    RETURN kind IN ('message', 'reaction') AND NOT released
        AND sluice_core.under_block(of_workspace, of_contact, blocks, blocks_since, at);

-- What a conversation shows, by generation. Content that was erased is null. A message that a block drops is left out at once, also while the step that
-- drops it is still to come.
CREATE VIEW sluice_core.shown_messages AS
SELECT m.generation, m.identity_id, m.workspace_id, i.contact_id, c.conversation_id, m.message_id,
    CASE WHEN m.kind IN ('echo', 'send', 'broadcast') THEN 'out' ELSE 'in' END AS direction,
    m.channel, m.channel_id, m.event_time,
    CASE WHEN m.send_id IS NULL THEN m.body -> 'content' WHEN s.content::text <> '{}' THEN s.content END AS content,
    CASE WHEN m.send_id IS NULL THEN CASE WHEN m.kind = 'echo' THEN 'sent' ELSE 'received' END ELSE s.status END AS status,
    m.kind = 'echo' AND m.block_start IS NOT NULL AS bypassed_block,
    CASE m.kind WHEN 'broadcast' THEN 'send' ELSE m.kind END AS kind, s.source, m.counted
FROM sluice_core.living_contacts c
JOIN sluice_core.identities i ON i.workspace_id = c.workspace_id AND i.contact_id = c.contact_id
JOIN sluice_core.messages m ON m.identity_id = i.identity_id AND m.workspace_id = i.workspace_id
LEFT JOIN sluice_core.sends s ON s.workspace_id = m.workspace_id AND s.send_id = m.send_id
LEFT JOIN sluice_core.contacts h ON h.workspace_id = i.workspace_id AND h.contact_id = i.home_id
CROSS JOIN LATERAL (
    SELECT coalesce(h.contact_id, c.contact_id) AS contact_id, coalesce(h.blocks, c.blocks) AS blocks,
        CASE WHEN h.contact_id IS NULL THEN c.blocks_since ELSE h.blocks_since END AS blocks_since
) AS b
WHERE m.drop_reason IS NULL AND NOT (
    b.blocks <> '{}'
    AND EXISTS (
        SELECT FROM sluice_core.pending_work w
        WHERE w.workspace_id = c.workspace_id AND w.kind = 'revise messages' AND w.subject = b.contact_id::text
    )
    AND sluice_core.to_be_dropped(m.kind, m.released, c.workspace_id, b.contact_id, b.blocks, b.blocks_since, m.event_time)
);

-- Sends that no provider has accepted show from their dispatch on, by their id alone; an accepted one is a message.
CREATE VIEW sluice_core.shown_sends AS
SELECT s.send_id, s.contact_id AS member_id, s.workspace_id, c.contact_id, c.conversation_id, s.message_id, 'out'::text AS direction, s.channel, s.channel_id,
    s.first_dispatched_at AS event_time, CASE WHEN s.content::text <> '{}' THEN s.content END AS content, s.status, false AS bypassed_block, 'send'::text AS kind, s.source,
    false AS counted
FROM sluice_core.sends s
JOIN sluice_core.living_contacts l ON l.workspace_id = s.workspace_id AND l.contact_id = s.contact_id
JOIN sluice_core.contacts c ON c.workspace_id = l.workspace_id AND c.contact_id = coalesce(l.merged_into, l.contact_id)
WHERE s.accepted_at IS NULL AND s.attempt > 0;

-- Comments are of the contact, or of one that was merged into it, and on no channel.
CREATE VIEW sluice_core.shown_comments AS
SELECT r.contact_id AS member_id, r.workspace_id, c.contact_id, c.conversation_id, r.comment_id AS message_id, 'out'::text AS direction,
    NULL::text AS channel, NULL::text AS channel_id, r.written_at AS event_time,
    CASE WHEN r.text IS NOT NULL THEN json_build_object('type', 'text', 'text', r.text) END AS content, NULL::text AS status, false AS bypassed_block,
    'comment'::text AS kind, NULL::text AS source, false AS counted
FROM sluice_core.comments r
JOIN sluice_core.living_contacts l ON l.workspace_id = r.workspace_id AND l.contact_id = r.contact_id
JOIN sluice_core.contacts c ON c.workspace_id = l.workspace_id AND c.contact_id = coalesce(l.merged_into, l.contact_id);

CREATE VIEW sluice.conversation_messages AS
SELECT m.workspace_id, m.contact_id, m.conversation_id, m.message_id, m.direction, m.channel, m.channel_id, m.event_time,
    m.content, m.status, m.bypassed_block, m.kind, m.source, m.counted
FROM sluice_core.generations g
JOIN sluice_core.shown_messages m ON m.generation = g.generation
UNION ALL
SELECT s.workspace_id, f.contact_id, s.conversation_id, s.message_id, s.direction, s.channel, s.channel_id, s.event_time,
    s.content, s.status, s.bypassed_block, s.kind, s.source, s.counted
FROM sluice_core.family f
CROSS JOIN LATERAL (
    SELECT s.* FROM sluice_core.shown_sends s WHERE s.workspace_id = f.workspace_id AND s.member_id = f.member_id OFFSET 0
) AS s
UNION ALL
SELECT r.workspace_id, f.contact_id, r.conversation_id, r.message_id, r.direction, r.channel, r.channel_id, r.event_time,
    r.content, r.status, r.bypassed_block, r.kind, r.source, r.counted
FROM sluice_core.family f
CROSS JOIN LATERAL (
    SELECT r.* FROM sluice_core.shown_comments r WHERE r.workspace_id = f.workspace_id AND r.member_id = f.member_id OFFSET 0
) AS r;

-- Contact by contact: PostgreSQL would compute all conversations before it joins them. OFFSET 0 keeps it from doing so.
CREATE VIEW sluice.profile_moments AS
SELECT c.workspace_id, c.profile_id, m.contact_id, m.message_id, m.direction, m.channel, m.event_time, m.content,
    m.content -> 'attachments' AS attachments
FROM sluice_core.contacts c
CROSS JOIN LATERAL (
    SELECT m.* FROM sluice.conversation_messages m
    WHERE m.workspace_id = c.workspace_id AND m.contact_id = c.contact_id OFFSET 0
) AS m
WHERE c.profile_id IS NOT NULL AND c.merged_into IS NULL;

GRANT SELECT ON sluice.drop_ledger TO sluice_billing;
