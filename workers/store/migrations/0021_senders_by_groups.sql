DROP FUNCTION sluice_core.find_senders(text[], text[], text[], text[]);

-- The senders of addresses that somebody has, with histories that cannot change until the transaction ends. What is wanted comes
-- in groups, each of one workspace, channel and scope: its addresses are one array, as text, and `wanted` counts on from the
-- group's `start`. A client sends that in a tenth of the time of four values for each address.
--
-- Two moments are only compared, and to read one takes a client ten times as long as a boolean. So they are left out where whatever
-- they are the answer is one: `connected_at` where the address wrote by `earliest`, and `opened_at` where nothing closed what it
-- opened.
--
-- Who they are, the wait for their locks, and what is read of them are three statements: a history from before the wait is too
-- old. An address is one look-up in the unique index, whatever is thought of how many are wanted, and arrays carry the senders on,
-- lest PostgreSQL join all of them with all contacts of their workspace while it thinks that there are few.
CREATE FUNCTION sluice_core.find_senders(
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
        CASE WHEN f.connected_at > earliest THEN f.connected_at END, c.counted_at, s.open, c.contact_id, c.conversation_id,
        c.profile_id, c.profile_at, c.blocks, c.blocked_by, CASE WHEN NOT s.open THEN c.opened_at END, c.closed_at,
        c.display_name, c.language, c.avatar_url, c.phone, c.email
    FROM unnest(found_wanted, found_workspaces, found_contacts, found_identities, found_connected)
        AS f (wanted, workspace_id, contact_id, identity_id, connected_at)
    JOIN contacts c ON c.workspace_id = f.workspace_id AND c.contact_id = f.contact_id
    CROSS JOIN LATERAL (SELECT c.opened_at IS NOT NULL AND c.closed_at IS NULL AND c.blocks = '{}' AS open) AS s;
END $$;
