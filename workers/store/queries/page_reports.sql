-- name: contacts_by_name
SELECT * FROM sluice.contacts_by_name($1, $2, $3, $4)

-- name: contacts_with_tag
SELECT l.* FROM sluice.contact_page($1, $2, $3, $4) p
CROSS JOIN LATERAL (
    SELECT l.* FROM sluice.contact_list l WHERE l.workspace_id = $1 AND l.contact_id = p.contact_id OFFSET 0
) AS l
ORDER BY l.contact_id

-- name: blocked_contacts
SELECT b.contact_id, o.display_name, o.phone, o.email, b.blocked_at, b.blocked_by
FROM (
    SELECT contact_id, blocked_at, blocked_by FROM sluice.blocked_contacts
    WHERE workspace_id = $1 AND (blocked_at, contact_id) < ($2::timestamptz, $3::uuid)
    ORDER BY blocked_at DESC, contact_id DESC LIMIT $4
) AS b
LEFT JOIN LATERAL (
    SELECT o.* FROM sluice.contact_overview o WHERE o.workspace_id = $1 AND o.contact_id = b.contact_id OFFSET 0
) AS o ON true
ORDER BY b.blocked_at DESC, b.contact_id DESC

-- name: block
SELECT blocked_at, blocked_by FROM sluice.blocked_contacts WHERE workspace_id = $1 AND contact_id = $2

-- name: conversation
SELECT * FROM sluice.conversation_page($1, $2, $3, $4, $5)

-- name: moments
SELECT * FROM sluice.profile_page($1, $2, $3, $4, $5)

-- name: profiles
SELECT profile_id, name, status, companies, protected, reasons, created_by, created_at FROM sluice.profile_overview
WHERE workspace_id = $1 AND (name, profile_id) > ($2::text, $3::text) ORDER BY name, profile_id LIMIT $4

-- name: suggestions
SELECT field, value, contact_ids FROM sluice.merge_suggestions
WHERE workspace_id = $1 AND (field, value) > ($2::text, $3::text) ORDER BY field, value LIMIT $4

-- name: suggestions_of_contact
SELECT field, value, contact_id FROM sluice.suggestions_of($1, $2) LIMIT $3

-- name: drops
SELECT * FROM sluice.drops_page($1, $2, $3, $4)

-- name: drops_of_contact
SELECT * FROM sluice.drop_ledger
WHERE workspace_id = $1 AND contact_id = $2 AND (event_time, message_id)
    < (coalesce($3::timestamptz, 'infinity'), coalesce($4::uuid, '00000000-0000-0000-0000-000000000000'))
ORDER BY event_time DESC, message_id DESC LIMIT $5

-- name: workspaces
SELECT * FROM sluice.workspace_settings WHERE workspace_id > $1 ORDER BY workspace_id LIMIT $2

-- name: settings
-- What holds now and what will; of channels only what will.
SELECT channel_id, name, value, holds_from, holds_from <= now() AS in_effect
FROM (
    SELECT channel_id, name, value, holds_from,
        lead(holds_from) OVER (PARTITION BY channel_id, name ORDER BY holds_from) AS until
    FROM sluice.settings_in_effect WHERE workspace_id = $1
) AS s
WHERE (until IS NULL OR until > now()) AND (channel_id IS NULL OR holds_from > now())
ORDER BY channel_id NULLS FIRST, name, holds_from LIMIT $2

-- name: channels
SELECT channel_id, channel, name, default_region, count FROM sluice.channels
WHERE workspace_id = $1 ORDER BY channel_id LIMIT $2

-- name: statuses
SELECT name, protected FROM sluice.profile_statuses WHERE workspace_id = $1 ORDER BY name LIMIT $2

-- name: companies
SELECT company_id, name, protected FROM sluice.companies WHERE workspace_id = $1 ORDER BY company_id LIMIT $2

-- name: fields
SELECT scope, name, type, options FROM sluice.field_definitions WHERE workspace_id = $1 ORDER BY scope, name LIMIT $2

-- name: tags
SELECT tag FROM sluice.tags WHERE workspace_id = $1 ORDER BY tag LIMIT $2

-- name: merges
SELECT merge_id, survivor_id, loser_id, actor, merged_at, undone_at FROM sluice.merge_history
WHERE workspace_id = $1 AND (merged_at, merge_id) < ($2::timestamptz, $3::uuid)
ORDER BY merged_at DESC, merge_id DESC LIMIT $4

-- name: audit
SELECT at, actor, role, module, command, target, outcome, reason, detail, changed, command_id, issued_at FROM sluice.audit_list
WHERE workspace_id = $1 AND ($2::text IS NULL OR actor = $2) AND ($3::text IS NULL OR command = $3) AND at >= $4::timestamptz
    AND (at, command_id) < ($5::timestamptz, $6::uuid)
ORDER BY at DESC, command_id DESC LIMIT $7

-- name: command
SELECT workspace_id, command_id, command, actor, role, module, issued_at, at, target, outcome, reason, detail, changed, now() AS now
FROM sluice.audit_list WHERE workspace_id = $1 AND command_id = $2
