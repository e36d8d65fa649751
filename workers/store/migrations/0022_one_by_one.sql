-- Both functions as before, but for one thing: what a poll asks for is looked up one by one in a unique index, whatever PostgreSQL
-- thinks of how much is stored. A join leaves it the choice, and while a table has no statistics yet, it chose to read and sort
-- all of the open generation, for every poll until the plan was made anew.
CREATE OR REPLACE FUNCTION sluice_core.look_up_messages(message_ids uuid[])
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
    -- After the exact look, not before it: a generation that is sealed in between is looked into twice, and none not at all.
    IF NOT EXISTS (SELECT FROM generations WHERE sealed_at IS NOT NULL) THEN
        RETURN;
    END IF;
    -- A scalar subquery is always one look-up in the primary key; a join could become a scan of all prints.
    RETURN QUERY WITH suspects AS MATERIALIZED (
        SELECT w.message_id, e.era
        FROM unnest(message_ids) AS w (message_id)
        CROSS JOIN LATERAL uuid_send(w.message_id) AS b
        CROSS JOIN (SELECT DISTINCT generation / 32 AS era FROM generations WHERE sealed_at IS NOT NULL) AS e
        WHERE position(substr(b, 3, 3) IN (
            SELECT p.prints FROM message_prints p WHERE p.era = e.era AND p.bucket = bucket(w.message_id)
        )) > 0
    )
    SELECT m.* FROM suspects s CROSS JOIN LATERAL (
        SELECT m.generation, m.message_id, m.content_digest FROM generations g
        JOIN messages m ON m.generation = g.generation AND m.message_id = s.message_id
        WHERE g.generation BETWEEN s.era * 32 AND s.era * 32 + 31 AND g.sealed_at IS NOT NULL
        ORDER BY g.generation DESC LIMIT 1
    ) AS m;
END $$;

CREATE OR REPLACE FUNCTION sluice_core.find_senders(
    workspace_ids text[], channels text[], scopes text[], starts bigint[], lookups text[], earliest timestamptz
)
RETURNS TABLE (
    wanted bigint, identity_id bigint, connected boolean, connected_at timestamptz, counted_at timestamptz, open boolean,
    contact_id uuid, conversation_id uuid, profile_id text, profile_at timestamptz, blocks tstzrange[], blocked_by text,
    opened_at timestamptz, closed_at timestamptz, display_name text, language text, avatar_url text, phone text, email text
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
    SELECT array_agg(g.start + w.number), array_agg(g.workspace_id), array_agg(i.contact_id), array_agg(i.identity_id),
        array_agg(i.connected_at)
    INTO found_wanted, found_workspaces, found_contacts, found_identities, found_connected
    FROM unnest(workspace_ids, channels, scopes, starts, lookups) AS g (workspace_id, channel, scope, start, addresses)
    CROSS JOIN unnest(g.addresses::text[]) WITH ORDINALITY AS w (lookup, number)
    CROSS JOIN LATERAL (
        SELECT i.contact_id, i.identity_id, i.connected_at FROM identities i
        WHERE i.workspace_id = g.workspace_id AND i.channel = g.channel AND i.scope = g.scope AND i.lookup = w.lookup LIMIT 1
    ) AS i;
    PERFORM FROM contact_locks l
    WHERE l.bucket = ANY (ARRAY(SELECT DISTINCT bucket(id) FROM unnest(found_contacts) AS id)) ORDER BY l.bucket FOR SHARE;
    RETURN QUERY SELECT f.wanted, f.identity_id, coalesce(f.connected_at <= earliest, false),
        CASE WHEN f.connected_at > earliest THEN f.connected_at END, c.counted_at, c.open, c.contact_id, c.conversation_id,
        c.profile_id, c.profile_at, c.blocks, c.blocked_by, CASE WHEN NOT c.open THEN c.opened_at END, c.closed_at,
        c.display_name, c.language, c.avatar_url, c.phone, c.email
    FROM unnest(found_wanted, found_workspaces, found_contacts, found_identities, found_connected)
        AS f (wanted, workspace_id, contact_id, identity_id, connected_at)
    CROSS JOIN LATERAL (
        SELECT c.*, c.opened_at IS NOT NULL AND c.closed_at IS NULL AND c.blocks = '{}' AS open FROM contacts c
        WHERE c.workspace_id = f.workspace_id AND c.contact_id = f.contact_id LIMIT 1
    ) AS c;
END $$;
