-- name: lock_names
SELECT pg_advisory_xact_lock(hash)
FROM (
    SELECT DISTINCT hashtextextended(workspace_id, 18) AS hash FROM unnest($1::text[]) AS wanted (workspace_id) ORDER BY hash
) AS workspaces

-- name: known
SELECT t.workspace_id, t.tag FROM unnest($1::text[], $2::text[]) AS wanted (workspace_id, tag)
CROSS JOIN LATERAL (
    SELECT t.* FROM tags t WHERE t.workspace_id = wanted.workspace_id AND t.tag = wanted.tag LIMIT 1
) AS t

-- name: count_names
SELECT workspace_id, count(*) FROM tags WHERE workspace_id = ANY ($1::text[]) GROUP BY workspace_id

-- name: add_names
INSERT INTO tags (workspace_id, tag)
SELECT workspace_id, tag FROM unnest($1::text[], $2::text[]) AS new (workspace_id, tag)
ON CONFLICT DO NOTHING

-- name: load
-- Each tag is one look-up in the primary key, whatever PostgreSQL estimates.
SELECT t.workspace_id, t.contact_id, t.tag, t.present, t.written_at, t.written_by
FROM unnest($1::text[], $2::uuid[], $3::text[]) AS wanted (workspace_id, contact_id, tag)
CROSS JOIN LATERAL (
    SELECT t.* FROM contact_tags t
    WHERE t.workspace_id = wanted.workspace_id AND t.contact_id = wanted.contact_id AND t.tag = wanted.tag LIMIT 1
) AS t

-- name: count
SELECT wanted.workspace_id, wanted.contact_id, own.tags
FROM unnest($1::text[], $2::uuid[]) AS wanted (workspace_id, contact_id)
CROSS JOIN LATERAL (
    SELECT count(*) AS tags FROM contact_tags t
    WHERE t.workspace_id = wanted.workspace_id AND t.contact_id = wanted.contact_id AND t.present
) AS own

-- name: save
INSERT INTO contact_tags (workspace_id, contact_id, tag, present, written_at, written_by)
SELECT workspace_id, contact_id, tag, present, written_at, written_by
FROM unnest($1::text[], $2::uuid[], $3::text[], $4::boolean[], $5::timestamptz[], $6::uuid[])
    AS new (workspace_id, contact_id, tag, present, written_at, written_by)
ORDER BY workspace_id, contact_id, tag
ON CONFLICT (workspace_id, contact_id, tag) DO UPDATE
    SET present = excluded.present, written_at = excluded.written_at, written_by = excluded.written_by
