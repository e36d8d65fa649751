-- name: names
SELECT c.contact_id, c.display_name, c.phone, c.email, c.blocked
FROM unnest($2::uuid[]) AS asked (contact_id)
CROSS JOIN LATERAL (
    SELECT o.contact_id, o.display_name, o.phone, o.email, o.blocked FROM sluice.contact_overview AS o
    WHERE o.workspace_id = $1 AND o.contact_id = asked.contact_id OFFSET 0
) AS c

-- name: companies
SELECT company_id, name FROM sluice.companies WHERE workspace_id = $1 AND company_id = ANY ($2::text[])
