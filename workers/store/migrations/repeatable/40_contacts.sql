-- Contacts and their addresses.

-- Who a contact is now: itself, or whom it was merged into; null: there is no such contact.
CREATE FUNCTION sluice_core.present(of_workspace text, of_contact uuid) RETURNS uuid
LANGUAGE sql STABLE PARALLEL SAFE SECURITY DEFINER SET search_path = sluice_core, pg_temp SET plan_cache_mode = auto AS $$
    SELECT coalesce(c.merged_into, c.contact_id) FROM contacts c WHERE c.workspace_id = of_workspace AND c.contact_id = of_contact
$$;

-- A contact and those that were merged into it, itself included.
CREATE VIEW sluice_core.family AS
SELECT workspace_id, contact_id, contact_id AS member_id FROM sluice_core.living_contacts WHERE merged_into IS NULL
UNION ALL
SELECT workspace_id, merged_into, contact_id FROM sluice_core.living_contacts WHERE merged_into IS NOT NULL;

CREATE VIEW sluice.merge_history AS
SELECT workspace_id, merge_id, survivor_id, loser_id, actor_id AS actor, merged_at, undone_at FROM sluice_core.merges;

-- What is shown of a field: what a person wrote, else what the channel says. The indexes of contacts have the same
-- expression.
CREATE FUNCTION sluice_core.shown(edited jsonb, field text, said text) RETURNS text LANGUAGE sql IMMUTABLE PARALLEL SAFE
    RETURN coalesce(edited ->> field, said);

-- The status of a conversation now, by columns of the contact; `block` is its last one. The same as `status` in
-- workers/rules/conversations.py.
CREATE FUNCTION sluice_core.conversation_status(
    blocked_at timestamptz, block tstzrange, opened_at timestamptz, closed_at timestamptz, user_opened_at timestamptz,
    snoozed_at timestamptz, snoozed_until timestamptz
) RETURNS text LANGUAGE sql STABLE PARALLEL SAFE
    RETURN CASE
        WHEN blocked_at IS NOT NULL THEN 'blocked'
        WHEN NOT coalesce(opened_at > coalesce(greatest(closed_at, lower(block)), '-infinity'), false)
            AND NOT coalesce(user_opened_at >= coalesce(upper(block), '-infinity'), false) THEN 'closed'
        WHEN snoozed_until > now() AND snoozed_at >= coalesce(upper(block), '-infinity')
            AND NOT coalesce(opened_at > snoozed_at, false) THEN 'snoozed'
        ELSE 'open'
    END;

CREATE VIEW sluice.contact_overview AS
SELECT c.workspace_id, c.contact_id, c.display_name, c.avatar_url,
    sluice_core.shown(c.edited, 'first_name', c.first_name) AS first_name,
    sluice_core.shown(c.edited, 'last_name', c.last_name) AS last_name,
    sluice_core.shown(c.edited, 'country', c.country) AS country,
    sluice_core.shown(c.edited, 'language', c.language) AS language,
    sluice_core.shown(c.edited, 'email', c.email) AS email,
    sluice_core.shown(c.edited, 'phone', c.phone) AS phone,
    c.assignee,
    sluice_core.conversation_status(
        c.blocked_at, c.blocks[cardinality(c.blocks)], c.opened_at, c.closed_at, c.user_opened_at, c.snoozed_at, c.snoozed_until
    ) AS conversation_status,
    c.profile_id,
    ARRAY(
        SELECT t.tag FROM sluice_core.contact_tags t
        WHERE t.workspace_id = c.workspace_id AND t.contact_id = c.contact_id AND t.present ORDER BY t.tag
    ) AS tags,
    c.custom, c.blocked_at IS NOT NULL AS blocked
FROM sluice_core.living_contacts c
WHERE c.merged_into IS NULL;

CREATE VIEW sluice.contact_list AS
SELECT * FROM sluice.contact_overview WHERE NOT blocked;

CREATE VIEW sluice.blocked_contacts AS
SELECT workspace_id, contact_id, blocked_at, blocked_by FROM sluice_core.living_contacts
WHERE blocked_at IS NOT NULL AND merged_into IS NULL;

-- Channels that no identity of a contact serves, and what could be written to there.
CREATE VIEW sluice_core.unserved_channels AS
SELECT c.workspace_id, c.contact_id, h.channel, h.channel_id, sluice_core.shown(c.edited, 'phone', c.phone) AS phone,
    sluice_core.shown(c.edited, 'email', c.email) AS email
FROM sluice_core.living_contacts c
JOIN sluice_core.channels h ON h.workspace_id = c.workspace_id
WHERE c.merged_into IS NULL AND NOT EXISTS (
    SELECT FROM sluice_core.identities i
    WHERE i.workspace_id = c.workspace_id AND i.contact_id = c.contact_id AND i.channel = h.channel
        AND i.scope IN ('', h.channel_id) AND i.removed_at IS NULL
);

CREATE VIEW sluice.contact_channels AS
SELECT i.workspace_id, i.contact_id, i.channel, coalesce(i.channel_id, nullif(i.scope, '')) AS channel_id, i.shown AS address,
    sluice_core.channel_state(i.channel, sluice_core.understood(i.channel, i.lookup), i.connected_at) AS state,
    i.connected_at, i.opted_out
FROM (
    -- Mostly it is what it is looked up by. Each kind is found by an index of its own.
    SELECT i.*, i.lookup AS shown FROM sluice_core.identities i WHERE i.address = i.lookup AND i.ended_at IS NULL
    UNION ALL
    SELECT i.*, i.lookup FROM sluice_core.identities i WHERE i.address = i.lookup AND i.ended_at IS NOT NULL
    UNION ALL
    SELECT i.*, i.address FROM sluice_core.identities i WHERE i.address <> i.lookup
) AS i
WHERE i.removed_at IS NULL AND NOT EXISTS (
    SELECT FROM sluice_core.deleted_contacts d
    WHERE d.workspace_id = i.workspace_id AND d.contact_id = i.contact_id AND NOT d.cut_off OFFSET 0
)
UNION ALL
SELECT f.workspace_id, f.contact_id, f.channel, f.channel_id, f.address,
    sluice_core.channel_state(f.channel, f.address IS NOT NULL, NULL), NULL, false
FROM (
    -- Each kind of address by itself: so each is found by its index.
    SELECT workspace_id, contact_id, channel, channel_id, phone AS address FROM sluice_core.unserved_channels
    WHERE channel IN ('whatsapp', 'sms')
    UNION ALL
    SELECT workspace_id, contact_id, channel, channel_id, email FROM sluice_core.unserved_channels WHERE channel = 'email'
    UNION ALL
    SELECT workspace_id, contact_id, channel, channel_id, NULL FROM sluice_core.unserved_channels
    WHERE channel NOT IN ('whatsapp', 'sms', 'email')
) AS f;

CREATE FUNCTION sluice_core.bucket(id uuid) RETURNS int LANGUAGE sql IMMUTABLE PARALLEL SAFE
    RETURN (get_byte(uuid_send(id), 0) << 8) + get_byte(uuid_send(id), 1);

-- The senders of addresses that somebody has, with histories that cannot change until the transaction ends. The input
-- comes in groups, each of one workspace, channel and scope: its addresses are one array, as text, and `wanted` counts
-- on from the group's `start`. A client sends that in a tenth of the time of four values for each address. Who had an
-- address before is asked for by `former`, the ids of identities that have ended, each of one of the workspaces.
--
-- To read a time takes a client ten times as long as a boolean. So two are left out where they are only compared and
-- the result is known: `connected_at` where the address wrote by `earliest`, and `opened_at` where nothing closed what
-- it opened. `spelled` is how the address is spelled, where that is not what it is looked up by. `blocks` has every
-- interval that ends after `blocks_since`. `special`: somebody else had the address before, or it came by a merge.
--
-- Who they are, the wait for their locks, and what is read of them are three statements: a history from before the wait
-- is too old. So is an owner: if one of the locks says that an address moved lately, all are looked up again, and the
-- transaction starts anew if one is somebody else's now. An address is one look-up in the unique index, whatever is
-- estimated, and arrays carry the senders on. Otherwise PostgreSQL joins all of them with all contacts of their workspace
-- while it estimates that there are few. The plan is generic: a planner learns nothing from arrays, and planning for
-- every poll takes as long as finding ten senders.
CREATE FUNCTION sluice_core.find_senders(
    workspace_ids text[], channels text[], scopes text[], starts bigint[], lookups text[], former bigint[], earliest timestamptz
)
RETURNS TABLE (
    wanted bigint, identity_id bigint, connected boolean, connected_at timestamptz, counted_at timestamptz, open boolean,
    spelled text, special boolean, contact_id uuid, conversation_id uuid, profile_id text, profile_at timestamptz,
    blocks tstzrange[], blocks_since timestamptz, blocked_by text, opened_at timestamptz, closed_at timestamptz,
    user_opened_at timestamptz, snoozed_at timestamptz, display_name text, language text, avatar_url text
)
LANGUAGE plpgsql VOLATILE SET search_path = sluice_core, pg_temp SET plan_cache_mode = force_generic_plan AS $$
#variable_conflict use_column
DECLARE
    found_wanted bigint[];
    found_workspaces text[];
    found_contacts uuid[];
    found_identities bigint[];
    found_connected timestamptz[];
    found_spelled text[];
    found_special boolean[];
    moved timestamptz;
BEGIN
    IF former = '{}' THEN
        SELECT array_agg(g.start + w.number), array_agg(g.workspace_id), array_agg(i.contact_id), array_agg(i.identity_id),
            array_agg(i.connected_at), array_agg(CASE WHEN i.address <> i.lookup THEN i.address END), array_agg(i.special)
        INTO found_wanted, found_workspaces, found_contacts, found_identities, found_connected, found_spelled, found_special
        FROM unnest(workspace_ids, channels, scopes, starts, lookups) AS g (workspace_id, channel, scope, start, addresses)
        CROSS JOIN unnest(g.addresses::text[]) WITH ORDINALITY AS w (lookup, number)
        CROSS JOIN LATERAL (
            SELECT i.contact_id, i.identity_id, i.connected_at, i.address, i.lookup,
                i.began_at IS NOT NULL OR i.home_id IS NOT NULL AS special
            FROM identities i
            WHERE i.workspace_id = g.workspace_id AND i.channel = g.channel AND i.scope = g.scope AND i.lookup = w.lookup
                AND i.ended_at IS NULL
            LIMIT 1
        ) AS i;
    ELSE
        SELECT array_agg(f.number), array_agg(f.workspace_id), array_agg(i.contact_id), array_agg(i.identity_id),
            array_agg(i.connected_at), array_agg(CASE WHEN i.address <> i.lookup THEN i.address END), array_agg(true)
        INTO found_wanted, found_workspaces, found_contacts, found_identities, found_connected, found_spelled, found_special
        FROM unnest(former, workspace_ids) WITH ORDINALITY AS f (identity_id, workspace_id, number)
        CROSS JOIN LATERAL (
            SELECT i.contact_id, i.identity_id, i.connected_at, i.address, i.lookup FROM identities i
            WHERE i.workspace_id = f.workspace_id AND i.identity_id = f.identity_id LIMIT 1
        ) AS i;
    END IF;
    SELECT max(l.moved_at) INTO moved
    FROM (
        SELECT l.moved_at FROM contact_locks l
        WHERE l.bucket = ANY (ARRAY(SELECT DISTINCT bucket(id) FROM unnest(found_contacts) AS id)) ORDER BY l.bucket FOR SHARE
    ) AS l;
    -- Not `moved > … AND`: with a null PostgreSQL would look all of them up.
    IF coalesce(moved > now() - interval '10 minutes', false) AND EXISTS (
        SELECT FROM unnest(found_workspaces, found_identities, found_contacts) AS f (workspace_id, identity_id, contact_id)
        CROSS JOIN LATERAL (
            SELECT i.contact_id, i.ended_at FROM identities i
            WHERE i.workspace_id = f.workspace_id AND i.identity_id = f.identity_id LIMIT 1
        ) AS i
        WHERE i.contact_id <> f.contact_id OR i.ended_at IS NOT NULL AND former = '{}'
    ) THEN
        RAISE EXCEPTION 'an address moved to another contact' USING ERRCODE = 'serialization_failure';
    END IF;
    RETURN QUERY SELECT f.wanted, f.identity_id, coalesce(f.connected_at <= earliest, false),
        CASE WHEN f.connected_at > earliest THEN f.connected_at END, c.counted_at, c.open, f.spelled, f.special, c.contact_id,
        c.conversation_id, c.profile_id, c.profile_at, c.blocks, c.blocks_since, c.blocked_by, CASE WHEN NOT c.open THEN c.opened_at END,
        c.closed_at, CASE WHEN NOT c.open THEN c.user_opened_at END, CASE WHEN c.snoozed_until IS NOT NULL THEN c.snoozed_at END,
        c.display_name, c.language, c.avatar_url
    FROM unnest(found_wanted, found_workspaces, found_contacts, found_identities, found_connected, found_spelled, found_special)
        AS f (wanted, workspace_id, contact_id, identity_id, connected_at, spelled, special)
    CROSS JOIN LATERAL (
        SELECT c.*, c.opened_at IS NOT NULL AND c.closed_at IS NULL AND c.snoozed_until IS NULL AND c.blocks = '{}' AS open
        FROM living_contacts c
        WHERE c.workspace_id = f.workspace_id AND c.contact_id = f.contact_id LIMIT 1
    ) AS c;
END $$;
