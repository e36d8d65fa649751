-- name: exists
SELECT EXISTS (SELECT FROM sluice.settings_in_effect WHERE workspace_id = $1)

-- name: workspaces
-- Each workspace has at least one value of each setting. The other view would compute every workspace before the limit.
SELECT w.* FROM (
    SELECT DISTINCT workspace_id FROM sluice.settings_in_effect
    WHERE name = 'anchor_day' AND channel_id IS NULL AND ($1 OR workspace_id = ANY ($2::text[])) AND workspace_id > coalesce($3::text, '')
    ORDER BY workspace_id LIMIT $4
) AS s
CROSS JOIN LATERAL (SELECT w.* FROM sluice.workspace_settings AS w WHERE w.workspace_id = s.workspace_id OFFSET 0) AS w
ORDER BY w.workspace_id

-- name: workspace
SELECT * FROM sluice.workspace_settings WHERE workspace_id = $1

-- name: in_effect
SELECT workspace_id, channel_id, name, value, holds_from FROM sluice.settings_in_effect
WHERE workspace_id = $1 ORDER BY channel_id NULLS FIRST, name, holds_from LIMIT $2

-- name: channels
SELECT * FROM sluice.channels WHERE workspace_id = $1 ORDER BY channel_id LIMIT $2

-- name: statuses
SELECT * FROM sluice.profile_statuses WHERE workspace_id = $1 ORDER BY name LIMIT $2

-- name: companies
SELECT * FROM sluice.companies WHERE workspace_id = $1 ORDER BY company_id LIMIT $2

-- name: companies_page
SELECT * FROM sluice.companies WHERE workspace_id = $1 AND company_id > coalesce($2::text, '') ORDER BY company_id LIMIT $3

-- name: company
SELECT * FROM sluice.companies WHERE workspace_id = $1 AND company_id = $2

-- name: fields
SELECT * FROM sluice.field_definitions WHERE workspace_id = $1 ORDER BY scope, name LIMIT $2

-- name: tags
SELECT * FROM sluice.tags WHERE workspace_id = $1 ORDER BY tag LIMIT $2
