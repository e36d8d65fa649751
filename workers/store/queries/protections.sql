-- name: grounds
-- OFFSET 0 prevents PostgreSQL from computing the view for all contacts before the join.
SELECT p.workspace_id, p.contact_id, p.code, p.key, p.since
FROM unnest($1::text[], $2::uuid[]) AS wanted (workspace_id, contact_id)
CROSS JOIN LATERAL (
    SELECT * FROM protections p
    WHERE p.workspace_id = wanted.workspace_id AND p.contact_id = wanted.contact_id OFFSET 0
) AS p
