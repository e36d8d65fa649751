-- name: grounds
SELECT p.workspace_id, p.contact_id, p.code, p.key, p.since
FROM unnest($1::text[], $2::uuid[]) AS wanted (workspace_id, contact_id)
JOIN protections p USING (workspace_id, contact_id)
