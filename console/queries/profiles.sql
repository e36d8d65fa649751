-- name: by_name
SELECT * FROM sluice.profile_overview
WHERE workspace_id = $1 AND (name, profile_id) > (coalesce($2::text, ''), coalesce($3::text, ''))
ORDER BY name, profile_id LIMIT $4

-- name: found
-- Each page asks for all that the function gives: of fewer it may choose others.
SELECT o.*, p.contacts, p._rank, p._name FROM (
    SELECT * FROM (
        SELECT f.profile_id, f.contacts, lower(normalize(f.name, NFC)) COLLATE "C" AS _name,
            (NOT starts_with(lower(normalize(f.name, NFC)), lower(normalize(btrim($2), NFC))))::int AS _rank
        FROM sluice.search_profiles($1, $2, 1000) AS f
    ) AS p
    WHERE $3::bigint IS NULL OR (_rank, _name, profile_id) > ($3::bigint, $4::text, $5::text)
    ORDER BY _rank, _name, profile_id LIMIT $6
) AS p
CROSS JOIN LATERAL (
    SELECT o.* FROM sluice.profile_overview AS o WHERE o.workspace_id = $1 AND o.profile_id = p.profile_id OFFSET 0
) AS o
ORDER BY p._rank, p._name, p.profile_id

-- name: profile
SELECT * FROM sluice.profile_overview WHERE workspace_id = $1 AND profile_id = $2

-- name: moments
SELECT * FROM sluice.profile_page($1, $2, $3, $4, $5)
