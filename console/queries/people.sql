-- name: fields
SELECT name, type, coalesce(options, '{}') AS options FROM sluice.field_definitions WHERE workspace_id = $1 AND scope = $2 ORDER BY name

-- name: tags
SELECT tag FROM sluice.tags WHERE workspace_id = $1 ORDER BY tag LIMIT $2

-- name: merges_of
SELECT merge_id, survivor_id, loser_id, actor, merged_at, undone_at FROM (
    SELECT * FROM sluice.merge_history WHERE workspace_id = $1 AND survivor_id = $2
    UNION ALL
    SELECT * FROM sluice.merge_history WHERE workspace_id = $1 AND loser_id = $2
) AS m
ORDER BY merged_at DESC, merge_id LIMIT $3

-- name: contacts_of_profile
SELECT contact_id, display_name, phone, email, conversation_status FROM sluice.contact_overview
WHERE workspace_id = $1 AND profile_id = $2 ORDER BY lower(display_name), contact_id LIMIT $3

-- name: count_contacts
SELECT coalesce(sum(contacts), 0)::bigint FROM sluice.inbox_counts WHERE workspace_id = $1

-- name: export_page
SELECT * FROM sluice.contact_page($1, $2, $3, $4)
