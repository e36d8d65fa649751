-- Contacts are found by a part of a name, number or e-mail address, kept up to date as the rest of contact_index.

ALTER TABLE sluice_core.contact_index
    ADD COLUMN listed boolean NOT NULL DEFAULT true,            -- whether contact_list shows it; else no grams
    ADD COLUMN sort_name text COLLATE "C",                      -- the name in lower case, its first 100 characters; null: no name
    ADD COLUMN words text COLLATE "C" NOT NULL DEFAULT '',      -- names and e-mail address in lower case
    ADD COLUMN digits text COLLATE "C" NOT NULL DEFAULT '',     -- of the phone number
    ADD COLUMN grams integer[] NOT NULL DEFAULT '{}';           -- contact_grams of the words and digits

UPDATE sluice_core.contact_index x SET listed = t.listed, sort_name = t.sort_name, words = t.words, digits = t.digits, grams = ARRAY(
        SELECT DISTINCT (hashtextextended(x.workspace_id || chr(31) || p.part, 11) & 2147483647)::integer
        FROM (
            SELECT substr(t.words, place, size) AS part
            FROM generate_series(1, length(t.words)) AS place CROSS JOIN generate_series(1, 3) AS size
            WHERE place + size <= length(t.words) + 1
                AND (size = 3 OR octet_length(substr(t.words, place, size)) > size)
            UNION ALL
            SELECT '#' || substr(t.digits, place, 4) FROM generate_series(1, length(t.digits) - 3) AS place
        ) AS p
        WHERE t.listed
    )
FROM (
    SELECT c.workspace_id, c.contact_id, c.blocked_at IS NULL AS listed, left(lower(normalize(c.display_name, NFC)), 100) AS sort_name,
        lower(normalize(concat_ws(
            ' ', c.display_name,
            nullif(concat_ws(
                ' ', coalesce(c.edited ->> 'first_name', c.first_name), coalesce(c.edited ->> 'last_name', c.last_name)
            ), c.display_name),
            coalesce(c.edited ->> 'email', c.email)
        ), NFC)) AS words,
        regexp_replace(coalesce(c.edited ->> 'phone', c.phone, ''), '[^0-9]', '', 'g') AS digits
    FROM sluice_core.contacts c
) AS t
WHERE t.workspace_id = x.workspace_id AND t.contact_id = x.contact_id;

CREATE INDEX contact_index_name ON sluice_core.contact_index (workspace_id, sort_name, contact_id) WHERE listed;
-- What is not yet sorted in is read by every search: let it be little.
CREATE INDEX contact_index_grams ON sluice_core.contact_index USING gin (grams) WITH (gin_pending_list_limit = 1024);
