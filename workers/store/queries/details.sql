-- name: details
SELECT workspace_id, contact_id, coalesce(edited, '{}') AS edited, custom, assignee, coalesce(written, '{}') AS written
FROM contacts
WHERE (workspace_id, contact_id) IN (SELECT * FROM unnest($1::text[], $2::uuid[]))

-- name: save_details
UPDATE contacts c SET edited = nullif(new.edited::jsonb, '{}'), custom = new.custom::jsonb, assignee = new.assignee,
    written = new.written::jsonb, revision = c.revision + new.changed::int
FROM (SELECT * FROM unnest($1::text[], $2::uuid[], $3::text[], $4::text[], $5::text[], $6::text[], $7::boolean[])
        AS new (workspace_id, contact_id, edited, custom, assignee, written, changed)
    ORDER BY workspace_id, contact_id) AS new
WHERE c.workspace_id = new.workspace_id AND c.contact_id = new.contact_id

-- name: lock_definitions
SELECT pg_advisory_xact_lock(hash)
FROM (
    SELECT DISTINCT hashtextextended(workspace_id, 17) AS hash FROM unnest($1::text[]) AS wanted (workspace_id) ORDER BY hash
) AS workspaces

-- name: definitions
SELECT d.workspace_id, d.scope, d.name, d.type, d.options, d.written_at, d.written_by
FROM unnest($1::text[], $2::text[], $3::text[]) AS wanted (workspace_id, scope, name)
JOIN field_definitions d USING (workspace_id, scope, name)

-- name: count_definitions
SELECT workspace_id, scope, count(*) FROM field_definitions WHERE workspace_id = ANY ($1::text[]) GROUP BY workspace_id, scope

-- name: save_definitions
INSERT INTO field_definitions (workspace_id, scope, name, type, options, written_at, written_by)
SELECT workspace_id, scope, name, type, ARRAY(SELECT json_array_elements_text(options::json)), written_at, written_by
FROM unnest($1::text[], $2::text[], $3::text[], $4::text[], $5::text[], $6::timestamptz[], $7::uuid[])
    AS new (workspace_id, scope, name, type, options, written_at, written_by)
ON CONFLICT (workspace_id, scope, name) DO UPDATE
    SET options = excluded.options, written_at = excluded.written_at, written_by = excluded.written_by
