-- Messages are stored in generations, one after the other, and every index that a new message touches begins with its
-- generation: inserts stay within the few pages of the newest one, however many messages there are. An id is looked up in the
-- generations that are not sealed; of the sealed ones three bytes of each id are kept, and only an id that is found there is
-- looked up in the generations themselves.

CREATE TABLE sluice_core.generations (
    generation int PRIMARY KEY,
    opened_at timestamptz NOT NULL DEFAULT now(),
    closed_at timestamptz,          -- nothing is added to it any more
    sealed_at timestamptz,          -- the prints of its ids are in message_prints
    -- Size of messages_pkey when it was opened: tells without counting how much was added since.
    began_bytes bigint NOT NULL,
    -- No message is later, but for sends, which move. Noted when it is sealed: event times of the others never change.
    last_event timestamptz NOT NULL DEFAULT 'infinity',
    CHECK (sealed_at IS NULL OR closed_at IS NOT NULL)
-- A table that was never analyzed is taken for a thousand rows, and a handful never gets analyzed by itself.
) WITH (autovacuum_analyze_threshold = 0, autovacuum_analyze_scale_factor = 0, autovacuum_vacuum_threshold = 10);
CREATE UNIQUE INDEX generations_open ON sluice_core.generations ((closed_at IS NULL)) WHERE closed_at IS NULL;

-- The first two bytes of an id are its bucket, the next three its print. 32 generations share an era, so that a row stays short.
CREATE TABLE sluice_core.message_prints (
    era int NOT NULL,
    bucket int NOT NULL,
    prints bytea NOT NULL,
    PRIMARY KEY (era, bucket)
) WITH (fillfactor = 45, autovacuum_vacuum_scale_factor = 0.5);
ALTER TABLE sluice_core.message_prints ALTER COLUMN prints SET STORAGE EXTERNAL;

-- What is locked in place of contacts: who judges a message by a block history holds the contact's bucket FOR SHARE, who changes
-- the history holds it FOR UPDATE. A shared lock is written to the row's page, and the pages of contacts are many.
CREATE TABLE sluice_core.contact_locks (bucket int PRIMARY KEY);
INSERT INTO sluice_core.contact_locks SELECT generate_series(0, 65535);

CREATE FUNCTION sluice_core.bucket(id uuid) RETURNS int LANGUAGE sql IMMUTABLE PARALLEL SAFE
    RETURN (get_byte(uuid_send(id), 0) << 8) + get_byte(uuid_send(id), 1);

-- A lock on a row that is not there would lock nothing, and a print that is lost would hide a repeat.
REVOKE INSERT, DELETE, TRUNCATE ON sluice_core.contact_locks FROM sluice_worker;
REVOKE DELETE, TRUNCATE ON sluice_core.generations, sluice_core.message_prints FROM sluice_worker;

-- What is stored already becomes generation 0 without being rewritten, closed and sealed.
ALTER TABLE sluice_core.messages ADD COLUMN generation int NOT NULL DEFAULT 0;
ALTER TABLE sluice_core.messages ALTER COLUMN generation DROP DEFAULT, ALTER COLUMN decided_at SET DEFAULT now();
ALTER TABLE sluice_core.messages DROP CONSTRAINT messages_pkey, ADD PRIMARY KEY (generation, workspace_id, message_id);
DROP INDEX sluice_core.messages_accepted, sluice_core.messages_dropped;
-- Identities of all workspaces are numbered by one sequence.
CREATE INDEX messages_accepted ON sluice_core.messages (generation, identity_id, event_time) WHERE drop_reason IS NULL;
CREATE INDEX messages_dropped ON sluice_core.messages (generation, identity_id, event_time) WHERE drop_reason IS NOT NULL;

INSERT INTO sluice_core.message_prints (era, bucket, prints)
SELECT 0, sluice_core.bucket(message_id) AS bucket, string_agg(substr(uuid_send(message_id), 3, 3), ''::bytea)
FROM sluice_core.messages GROUP BY 2 ORDER BY 2;
INSERT INTO sluice_core.generations (generation, closed_at, sealed_at, began_bytes, last_event)
SELECT 0, now(), now(), 0, coalesce(max(event_time) FILTER (WHERE send_id IS NULL), '-infinity')
FROM sluice_core.messages HAVING count(*) > 0;
INSERT INTO sluice_core.generations (generation, began_bytes)
SELECT count(*), pg_relation_size('sluice_core.messages_pkey') FROM sluice_core.generations;

ANALYZE sluice_core.generations, sluice_core.message_prints, sluice_core.contact_locks, sluice_core.messages;

-- What a transaction asks before it stores messages. The first row is the generation to store into, and no other is opened
-- before the transaction ends; each row after it is one of the messages that are stored already. To lock and to look up are
-- two statements, because only the second one's snapshot is younger than the wait.
CREATE FUNCTION sluice_core.look_up_messages(workspace_ids text[], message_ids uuid[])
RETURNS TABLE (generation int, workspace_id text, message_id uuid, content_digest bigint)
LANGUAGE plpgsql VOLATILE ROWS 10 SET search_path = sluice_core, pg_temp AS $$
#variable_conflict use_column
BEGIN
    PERFORM pg_advisory_xact_lock_shared(hashtext('sluice.generations'));
    RETURN QUERY SELECT g.generation, NULL::text, NULL::uuid, NULL::bigint FROM generations g WHERE g.closed_at IS NULL;
    RETURN QUERY SELECT m.generation, m.workspace_id, m.message_id, m.content_digest
    FROM generations g CROSS JOIN unnest(workspace_ids, message_ids) AS w (workspace_id, message_id)
    JOIN messages m ON m.generation = g.generation AND m.workspace_id = w.workspace_id AND m.message_id = w.message_id
    WHERE g.sealed_at IS NULL;
    -- After the exact look, not before it: a generation that is sealed in between is looked into twice, and none not at all.
    IF NOT EXISTS (SELECT FROM generations WHERE sealed_at IS NOT NULL) THEN
        RETURN;
    END IF;
    -- A scalar subquery is always one look-up in the primary key; a join could become a scan of all prints.
    RETURN QUERY WITH suspects AS MATERIALIZED (
        SELECT w.workspace_id, w.message_id, e.era
        FROM unnest(workspace_ids, message_ids) AS w (workspace_id, message_id)
        CROSS JOIN LATERAL uuid_send(w.message_id) AS b
        CROSS JOIN (SELECT DISTINCT generation / 32 AS era FROM generations WHERE sealed_at IS NOT NULL) AS e
        WHERE position(substr(b, 3, 3) IN (
            SELECT p.prints FROM message_prints p WHERE p.era = e.era AND p.bucket = bucket(w.message_id)
        )) > 0
    )
    SELECT m.* FROM suspects s CROSS JOIN LATERAL (
        SELECT m.generation, m.workspace_id, m.message_id, m.content_digest FROM generations g
        JOIN messages m ON m.generation = g.generation AND m.workspace_id = s.workspace_id AND m.message_id = s.message_id
        WHERE g.generation BETWEEN s.era * 32 AND s.era * 32 + 31 AND g.sealed_at IS NOT NULL
        ORDER BY g.generation DESC LIMIT 1
    ) AS m;
END $$;

-- The senders of addresses that somebody has, with histories that cannot change until the transaction ends. Who they are, the
-- wait for their locks, and what is read of them are three statements: a history from before the wait is too old. Arrays carry
-- the senders on, lest PostgreSQL join all wanted addresses with all contacts of their workspace while it thinks that there are
-- few.
CREATE FUNCTION sluice_core.find_senders(workspace_ids text[], channels text[], scopes text[], lookups text[])
RETURNS TABLE (
    wanted bigint, identity_id bigint, connected_at timestamptz, counted_at timestamptz, contact_id uuid,
    conversation_id uuid, profile_id text, profile_at timestamptz, blocks tstzrange[], blocked_by text, opened_at timestamptz,
    closed_at timestamptz, display_name text, language text, avatar_url text, phone text, email text
)
LANGUAGE plpgsql VOLATILE SET search_path = sluice_core, pg_temp AS $$
#variable_conflict use_column
DECLARE
    found_wanted bigint[];
    found_workspaces text[];
    found_contacts uuid[];
    found_identities bigint[];
    found_connected timestamptz[];
BEGIN
    SELECT array_agg(w.wanted), array_agg(i.workspace_id), array_agg(i.contact_id), array_agg(i.identity_id),
        array_agg(i.connected_at)
    INTO found_wanted, found_workspaces, found_contacts, found_identities, found_connected
    FROM unnest(workspace_ids, channels, scopes, lookups) WITH ORDINALITY AS w (workspace_id, channel, scope, lookup, wanted)
    JOIN identities i USING (workspace_id, channel, scope, lookup);
    PERFORM FROM contact_locks l
    WHERE l.bucket = ANY (ARRAY(SELECT DISTINCT bucket(id) FROM unnest(found_contacts) AS id)) ORDER BY l.bucket FOR SHARE;
    RETURN QUERY SELECT f.wanted, f.identity_id, f.connected_at, c.counted_at, c.contact_id, c.conversation_id, c.profile_id,
        c.profile_at, c.blocks, c.blocked_by, c.opened_at, c.closed_at, c.display_name, c.language, c.avatar_url, c.phone, c.email
    FROM unnest(found_wanted, found_workspaces, found_contacts, found_identities, found_connected)
        AS f (wanted, workspace_id, contact_id, identity_id, connected_at)
    JOIN contacts c ON c.workspace_id = f.workspace_id AND c.contact_id = f.contact_id;
END $$;

-- As before, by way of the generations.
CREATE OR REPLACE VIEW sluice.drop_ledger AS
SELECT m.workspace_id, i.contact_id, m.message_id, m.channel, m.event_time, m.drop_reason AS reason, m.mac_rule AS rule,
    m.counted, m.decided_at
FROM sluice_core.identities i
CROSS JOIN sluice_core.generations g
JOIN sluice_core.messages m ON m.generation = g.generation AND m.identity_id = i.identity_id AND m.workspace_id = i.workspace_id
WHERE m.drop_reason IS NOT NULL;

CREATE OR REPLACE VIEW sluice.conversation_messages AS
SELECT m.workspace_id, i.contact_id, c.conversation_id, m.message_id,
    CASE WHEN m.kind IN ('echo', 'send', 'broadcast') THEN 'out' ELSE 'in' END AS direction,
    m.channel, m.channel_id, m.event_time,
    CASE WHEN m.send_id IS NULL THEN m.body -> 'content' ELSE s.content END AS content,
    CASE WHEN m.send_id IS NULL THEN CASE WHEN m.kind = 'echo' THEN 'sent' ELSE 'received' END ELSE s.status END AS status,
    m.kind = 'echo' AND m.block_start IS NOT NULL AS bypassed_block
FROM sluice_core.contacts c
JOIN sluice_core.identities i ON i.workspace_id = c.workspace_id AND i.contact_id = c.contact_id
CROSS JOIN sluice_core.generations g
JOIN sluice_core.messages m ON m.generation = g.generation AND m.identity_id = i.identity_id AND m.workspace_id = i.workspace_id
LEFT JOIN sluice_core.sends s ON s.workspace_id = m.workspace_id AND s.send_id = m.send_id
WHERE m.drop_reason IS NULL
UNION ALL
SELECT s.workspace_id, s.contact_id, c.conversation_id, s.message_id, 'out', s.channel, s.channel_id, a.dispatched_at,
    s.content, s.status, false
FROM sluice_core.sends s
JOIN sluice_core.contacts c ON c.workspace_id = s.workspace_id AND c.contact_id = s.contact_id
JOIN sluice_core.send_attempts a ON a.workspace_id = s.workspace_id AND a.send_id = s.send_id AND a.attempt = 1
WHERE s.accepted_at IS NULL AND s.attempt > 0;

CREATE OR REPLACE FUNCTION sluice.explain_mac(of_workspace text, of_cycle timestamptz, of_contact uuid)
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
    LEFT JOIN sluice_core.mac_contacts p ON p.workspace_id = c.workspace_id AND p.cycle_start = c.cycle_start
        AND p.contact_id = of_contact
    WHERE c.workspace_id = of_workspace AND c.cycle_start = of_cycle
    ORDER BY m.counted DESC, m.event_time, m.message_id
    LIMIT 1000
$$;
