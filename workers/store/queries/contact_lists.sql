-- name: page
SELECT * FROM sluice.contact_page($1, $2, $3, $4)

-- name: found
SELECT contact_id FROM sluice.search_contacts($1, $2, $3)

-- name: fields
SELECT name, type, options FROM sluice.field_definitions WHERE workspace_id = $1 AND scope = $2 ORDER BY name

-- name: region
SELECT default_region FROM sluice.workspace_settings WHERE workspace_id = $1

-- name: channels
SELECT channel_id, channel, default_region FROM sluice.channels WHERE workspace_id = $1
