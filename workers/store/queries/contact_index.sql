-- What contacts are suggested for merging and searched by.

-- name: renew
-- Returns the values that a contact has or had, but not both.
WITH present AS (
    SELECT k.workspace_id, k.contact_id, r.phones IS NOT NULL AS exists, r.phones, r.emails, r.listed, r.sort_name, r.words,
        r.digits
    FROM unnest($1::text[], $2::uuid[]) AS k (workspace_id, contact_id)
    LEFT JOIN LATERAL (
        SELECT coalesce(array_agg(DISTINCT r.value) FILTER (WHERE r.field = 'phone'), '{}') AS phones,
            coalesce(array_agg(DISTINCT r.value) FILTER (WHERE r.field = 'email'), '{}') AS emails,
            NOT min(o.blocked::int)::boolean AS listed, min(left(lower(normalize(o.display_name, NFC)), 100)) AS sort_name,
            min(search_words(o.display_name, o.first_name, o.last_name, o.email)) AS words,
            min(search_digits(o.phone)) AS digits
        FROM sluice.contact_overview o
        LEFT JOIN reached_by r ON r.workspace_id = o.workspace_id AND r.contact_id = o.contact_id
        WHERE o.workspace_id = k.workspace_id AND o.contact_id = k.contact_id
        GROUP BY o.contact_id
    ) AS r ON true
), changed AS (
    SELECT p.*, x.phones AS had_phones, x.emails AS had_emails
    FROM present p
    LEFT JOIN contact_index x ON x.workspace_id = p.workspace_id AND x.contact_id = p.contact_id
    WHERE p.exists <> (x.contact_id IS NOT NULL)
        OR (p.phones, p.emails, p.listed, p.words, p.digits) <> (x.phones, x.emails, x.listed, x.words, x.digits)
        OR p.sort_name IS DISTINCT FROM x.sort_name
), gone AS (
    DELETE FROM contact_index x USING changed c
    WHERE x.workspace_id = c.workspace_id AND x.contact_id = c.contact_id AND NOT c.exists
), kept AS (
    INSERT INTO contact_index (workspace_id, contact_id, phones, emails, listed, sort_name, words, digits, grams)
    SELECT workspace_id, contact_id, phones, emails, listed, sort_name, words, digits,
        CASE WHEN listed THEN contact_grams(workspace_id, words, digits) ELSE '{}' END
    FROM changed WHERE exists ORDER BY workspace_id, contact_id
    ON CONFLICT (workspace_id, contact_id) DO UPDATE SET phones = excluded.phones, emails = excluded.emails,
        listed = excluded.listed, sort_name = excluded.sort_name, words = excluded.words, digits = excluded.digits,
        grams = excluded.grams
)
SELECT DISTINCT workspace_id, field, value
FROM changed CROSS JOIN LATERAL (
    SELECT 'phone' AS field, value FROM unnest(phones || had_phones) AS value
    WHERE (value = ANY (phones)) IS DISTINCT FROM (value = ANY (had_phones))
    UNION ALL
    SELECT 'email', value FROM unnest(emails || had_emails) AS value
    WHERE (value = ANY (emails)) IS DISTINCT FROM (value = ANY (had_emails))
) AS moved

-- name: renew_shared
-- A contact counts from when it was published with the value: one that lost it before is not noticed. Of very many, the first do.
WITH judged AS (
    SELECT t.workspace_id, t.field, t.value, (
        SELECT count(*) FILTER (WHERE t.value = ANY (x.phones || x.emails)) > 1 OR count(*) = 100
        FROM sharers(t.workspace_id, t.field, t.value, 100, true) AS s
        LEFT JOIN LATERAL (
            SELECT x.phones, x.emails FROM contact_index x
            WHERE x.workspace_id = t.workspace_id AND x.contact_id = s.contact_id LIMIT 1
        ) AS x ON true
    ) AS shared
    FROM unnest($1::text[], $2::text[], $3::text[]) AS t (workspace_id, field, value)
), gone AS (
    DELETE FROM shared_values s USING judged j
    WHERE NOT j.shared AND s.workspace_id = j.workspace_id AND s.field = j.field AND s.value = j.value
)
INSERT INTO shared_values (workspace_id, field, value)
SELECT workspace_id, field, value FROM judged WHERE shared ORDER BY workspace_id, field, value
ON CONFLICT DO NOTHING
