-- Profiles and contacts by what somebody types.

-- The parts of a name as hashes that an index of integers finds, with the workspace in each: one to three characters in
-- a row, a single one only where a script may write a word with it. An index of the extension pg_trgm would need the
-- extension, knows no parts of two characters, and mixes workspaces.
--
-- Partitions by hash need this hash to stay as it is in every release of PostgreSQL; so may what is stored here.
CREATE FUNCTION sluice_core.name_gram(of_workspace text, part text) RETURNS integer LANGUAGE sql IMMUTABLE PARALLEL SAFE
    RETURN (hashtextextended(of_workspace || chr(31) || part, 11) & 2147483647)::integer;

CREATE FUNCTION sluice_core.name_grams(of_workspace text, of_key text) RETURNS integer[]
LANGUAGE plpgsql IMMUTABLE PARALLEL SAFE SET search_path = sluice_core, pg_temp AS $$
DECLARE
    grams integer[] := '{}';
    part text;
BEGIN
    FOR place IN 1..length(of_key) LOOP
        part := substr(of_key, place, 3);
        IF ascii(part) > 127 THEN
            grams := grams || name_gram(of_workspace, left(part, 1));
        END IF;
        FOR size IN 2..length(part) LOOP
            grams := grams || name_gram(of_workspace, left(part, size));
        END LOOP;
    END LOOP;
    RETURN grams;
END $$;

-- Profiles whose name begins with the query, then those that have it elsewhere, each by name; 1,000 at most. An empty
-- query finds all. Names are compared as by `attach_contact`; beyond ASCII the upper case of the query is as good as the
-- database's own `lower`.
CREATE FUNCTION sluice.search_profiles(of_workspace text, query text, n integer)
RETURNS TABLE (
    workspace_id text, profile_id text, name text, status text, companies text[], protected boolean, reasons text[],
    contacts bigint
)
LANGUAGE plpgsql STABLE SECURITY DEFINER SET search_path = sluice_core, pg_temp
    SET plan_cache_mode = force_custom_plan AS $$
#variable_conflict use_column
DECLARE
    key text COLLATE "C" := lower(normalize(btrim(query), NFC));
    most integer := least(greatest(n, 0), 1000);
    size integer := least(length(key), 3);
    parts integer[];
BEGIN
    SELECT coalesce(array_agg(DISTINCT name_gram(of_workspace, substr(key, place, size))), '{}') INTO parts
    FROM generate_series(1, length(key) - size + 1) AS place
    WHERE size > 1 OR ascii(key) > 127;
    RETURN QUERY
    WITH found AS (
        (
            SELECT p.profile_id, p.name_key, 0 AS rank FROM profiles p
            WHERE p.workspace_id = of_workspace AND p.deleted_at IS NULL AND p.name_key >= key
                AND p.name_key < key || chr(1114111)
            ORDER BY p.name_key, p.profile_id LIMIT most
        )
        UNION ALL
        (
            SELECT p.profile_id, p.name_key, 1 FROM profiles p
            WHERE p.workspace_id = of_workspace AND p.deleted_at IS NULL AND p.name_grams @> parts
                AND position(key IN p.name_key) > 1
            ORDER BY p.name_key, p.profile_id LIMIT most
        )
    )
    SELECT o.workspace_id, o.profile_id, o.name, o.status, o.companies, o.protected, o.reasons, p.contacts::bigint
    FROM (SELECT * FROM found ORDER BY rank, name_key, profile_id LIMIT most) AS f
    JOIN profiles p ON p.workspace_id = of_workspace AND p.profile_id = f.profile_id
    JOIN sluice.profile_overview o ON o.workspace_id = of_workspace AND o.profile_id = f.profile_id
    ORDER BY f.rank, f.name_key, f.profile_id;
END $$;
REVOKE ALL ON FUNCTION sluice.search_profiles(text, text, integer) FROM PUBLIC;
GRANT EXECUTE ON FUNCTION sluice.search_profiles(text, text, integer) TO sluice_worker, sluice_reader;

-- What contacts are searched by: their names and e-mail address, in lower case.
CREATE FUNCTION sluice_core.search_words(display_name text, first_name text, last_name text, email text) RETURNS text
LANGUAGE sql STABLE PARALLEL SAFE
    RETURN lower(normalize(concat_ws(
        ' ', display_name, nullif(concat_ws(' ', first_name, last_name), display_name), email
    ), NFC));

CREATE FUNCTION sluice_core.search_digits(phone text) RETURNS text LANGUAGE sql IMMUTABLE PARALLEL SAFE
    RETURN regexp_replace(coalesce(phone, ''), '[^0-9]', '', 'g');

-- The parts of the first 120 characters that a text has or must have to be found: three characters in a row; fewer only
-- with one beyond ASCII. Of a number four digits in a row.
CREATE FUNCTION sluice_core.contact_grams(of_workspace text, words text, digits text) RETURNS integer[]
LANGUAGE plpgsql IMMUTABLE PARALLEL SAFE AS $$
DECLARE
    grams integer[] := '{}';
    beyond boolean := octet_length(words) > length(words);
    part text;
BEGIN
    FOR place IN 1..least(length(words), 120) LOOP
        part := substr(words, place, 3);
        IF length(part) = 3 THEN
            grams := grams || sluice_core.name_gram(of_workspace, part);
        END IF;
        FOR size IN 1..CASE WHEN beyond THEN 2 ELSE 0 END LOOP
            part := substr(words, place, size);
            IF length(part) = size AND octet_length(part) > size THEN
                grams := grams || sluice_core.name_gram(of_workspace, part);
            END IF;
        END LOOP;
    END LOOP;
    FOR place IN 1..coalesce(length(digits) - 3, 0) LOOP
        grams := grams || sluice_core.name_gram(of_workspace, '#' || substr(digits, place, 4));
    END LOOP;
    RETURN grams;
END $$;

-- Contacts that are not blocked: those with exactly this id, number or address; if there are none, those whose name begins
-- with the query, then those that have it elsewhere in their names or e-mail address, or its digits in their number, each
-- by name; 1,000 at most.
--
-- `contact_index` leads to the second kind. What many have is found among the first 1,000 names, the rest by its parts: some
-- 1,000 of them where there are more. A text of one or two ASCII letters has no parts. Contacts that wait to be published
-- are compared themselves, the next 200 of them.
CREATE FUNCTION sluice.search_contacts(of_workspace text, query text, n integer)
RETURNS TABLE (
    workspace_id text, contact_id uuid, display_name text, avatar_url text, first_name text, last_name text, country text,
    language text, email text, phone text, assignee text, conversation_status text, profile_id text, tags text[], custom jsonb,
    blocked boolean
)
LANGUAGE plpgsql STABLE SECURITY DEFINER SET search_path = sluice_core, pg_temp
    SET plan_cache_mode = force_custom_plan SET enable_seqscan = off SET enable_sort = off SET jit = off AS $$
#variable_conflict use_column
DECLARE
    key text COLLATE "C" := lower(normalize(btrim(query), NFC));
    number text COLLATE "C" := CASE WHEN query ~ '^[-+0-9 ().]{4,}$' THEN nullif(search_digits(query), '') END;
    typed text[] := ARRAY[btrim(query), key] || CASE WHEN length(number) > 4 THEN ARRAY['+' || number, number] END;
    most integer := least(greatest(n, 0), 1000);
    parts integer[] := contact_grams(of_workspace, left(key, 40), '');
    number_parts integer[] := contact_grams(of_workspace, '', number);
    found uuid[];
    changed uuid[];
BEGIN
    SELECT array_agg(f.contact_id) INTO found FROM (
        SELECT coalesce(c.merged_into, c.contact_id) AS contact_id FROM contacts c
        WHERE c.workspace_id = of_workspace AND c.contact_id = CASE WHEN key ~ '^[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}$' THEN key::uuid END
        UNION ALL
        SELECT i.contact_id FROM identities i WHERE i.lookup = ANY (typed) AND i.workspace_id = of_workspace
            AND i.ended_at IS NULL AND i.removed_at IS NULL
        UNION ALL
        SELECT i.contact_id FROM identities i
        WHERE i.address = ANY (typed) AND i.address <> i.lookup AND i.workspace_id = of_workspace AND i.removed_at IS NULL
        UNION ALL
        (SELECT l.contact_id FROM sluice.contact_list l WHERE l.workspace_id = of_workspace AND l.phone = ANY (typed) LIMIT 1000)
        UNION ALL
        (SELECT l.contact_id FROM sluice.contact_list l WHERE l.workspace_id = of_workspace AND lower(l.email) = typed[2] LIMIT 1000)
    ) AS f;
    IF found IS NOT NULL THEN
        RETURN QUERY SELECT l.* FROM sluice.contact_list l
        WHERE l.workspace_id = of_workspace AND l.contact_id = ANY (found)
        ORDER BY lower(l.display_name) COLLATE "C", l.contact_id LIMIT most;
        RETURN;
    END IF;
    SELECT coalesce(array_agg(f.contact_id), '{}') INTO found FROM (
        SELECT x.contact_id FROM contact_index x
        WHERE x.workspace_id = of_workspace AND x.listed AND x.sort_name >= left(key, 100) AND x.sort_name < left(key, 100) || chr(1114111)
        ORDER BY x.sort_name, x.contact_id LIMIT most
    ) AS f;
    IF cardinality(found) < most THEN
        SELECT found || array_agg(f.contact_id) INTO found FROM (
            SELECT f.contact_id FROM (
                SELECT x.contact_id, x.words FROM contact_index x
                WHERE x.workspace_id = of_workspace AND x.listed ORDER BY x.sort_name, x.contact_id LIMIT 1000
            ) AS f
            WHERE position(key IN f.words) > 0 AND f.contact_id <> ALL (found) LIMIT most
        ) AS f;
    END IF;
    IF cardinality(found) < most AND parts || number_parts <> '{}' THEN
        WITH hits AS MATERIALIZED (
            (
                SELECT x.contact_id, x.sort_name FROM contact_index x
                WHERE parts <> '{}' AND x.grams @> parts AND x.workspace_id = of_workspace AND position(key IN x.words) > 0
                LIMIT 1000
            )
            UNION ALL
            (
                SELECT x.contact_id, x.sort_name FROM contact_index x
                WHERE number_parts <> '{}' AND x.grams @> number_parts AND x.workspace_id = of_workspace
                    AND position(number IN x.digits) > 0
                LIMIT 1000
            )
        )
        SELECT found || array_agg(f.contact_id) INTO found FROM (
            SELECT h.contact_id FROM hits h WHERE h.contact_id <> ALL (found) ORDER BY h.sort_name, h.contact_id LIMIT most
        ) AS f;
    END IF;
    SELECT coalesce(array_agg(u.contact_id), '{}') INTO changed FROM (
        SELECT u.contact_id FROM unpublished_contacts u
        WHERE u.workspace_id = of_workspace ORDER BY u.contact_id LIMIT 200
    ) AS u;
    RETURN QUERY SELECT l.* FROM sluice.contact_list l
    WHERE l.workspace_id = of_workspace AND l.contact_id = ANY (found || changed) AND (
        position(key IN search_words(l.display_name, l.first_name, l.last_name, l.email)) > 0
        OR position(number IN search_digits(l.phone)) > 0
    )
    ORDER BY NOT starts_with(coalesce(lower(normalize(l.display_name, NFC)), ''), key),
        lower(normalize(l.display_name, NFC)) COLLATE "C", l.contact_id
    LIMIT most;
END $$;
REVOKE ALL ON FUNCTION sluice.search_contacts(text, text, integer) FROM PUBLIC;
GRANT EXECUTE ON FUNCTION sluice.search_contacts(text, text, integer) TO sluice_worker, sluice_reader;

-- The next `n` contacts that are not blocked, by id, 10,000 at most; with a tag only those that have it. `identities` is
-- an array of {channel, channel_id, address}; channel_id is null where it is no part of the identity.
CREATE FUNCTION sluice.contact_page(of_workspace text, of_tag text, after uuid, n integer)
RETURNS TABLE (
    contact_id uuid, display_name text, avatar_url text, first_name text, last_name text, country text, language text,
    email text, phone text, assignee text, conversation_status text, profile_id text, tags text[], custom jsonb,
    identities jsonb
)
LANGUAGE plpgsql STABLE SECURITY DEFINER SET search_path = sluice_core, pg_temp
    SET plan_cache_mode = force_custom_plan AS $$
#variable_conflict use_column
DECLARE
    most integer := least(greatest(n, 0), 10000);
    found uuid[];
BEGIN
    IF of_tag IS NULL THEN
        found := ARRAY(
            SELECT l.contact_id FROM sluice.contact_list l
            WHERE l.workspace_id = of_workspace AND l.contact_id > after ORDER BY l.contact_id LIMIT most
        );
    ELSE
        found := ARRAY(
            SELECT t.contact_id FROM contact_tags t
            CROSS JOIN LATERAL (
                SELECT FROM sluice.contact_list l
                WHERE l.workspace_id = of_workspace AND l.contact_id = t.contact_id LIMIT 1
            ) AS l
            WHERE t.workspace_id = of_workspace AND t.tag = of_tag AND t.present AND t.contact_id > after
            ORDER BY t.contact_id LIMIT most
        );
    END IF;
    RETURN QUERY SELECT l.contact_id, l.display_name, l.avatar_url, l.first_name, l.last_name, l.country, l.language,
        l.email, l.phone, l.assignee, l.conversation_status, l.profile_id, l.tags, l.custom, coalesce((
            SELECT jsonb_agg(
                jsonb_build_object('channel', i.channel, 'channel_id', nullif(i.scope, ''), 'address', i.address)
                ORDER BY i.connected_at NULLS LAST, i.identity_id
            )
            FROM identities i
            WHERE i.workspace_id = of_workspace AND i.contact_id = l.contact_id AND i.removed_at IS NULL
        ), '[]')
    FROM unnest(found) AS f (contact_id)
    CROSS JOIN LATERAL (
        SELECT * FROM sluice.contact_list l WHERE l.workspace_id = of_workspace AND l.contact_id = f.contact_id LIMIT 1
    ) AS l
    ORDER BY l.contact_id;
END $$;
REVOKE ALL ON FUNCTION sluice.contact_page(text, text, uuid, integer) FROM PUBLIC;
GRANT EXECUTE ON FUNCTION sluice.contact_page(text, text, uuid, integer) TO sluice_worker, sluice_reader;
