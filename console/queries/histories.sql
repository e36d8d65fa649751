-- name: drops
SELECT * FROM sluice.drops_page($1, $2, $3, $4)

-- name: drops_of_contact
SELECT workspace_id, contact_id, message_id, channel, event_time, reason, rule, counted, decided_at FROM sluice.drop_ledger
WHERE workspace_id = $1 AND contact_id = $2 AND (event_time, message_id)
    < (coalesce($3::timestamptz, 'infinity'), coalesce($4::uuid, '00000000-0000-0000-0000-000000000000'))
ORDER BY event_time DESC, message_id DESC LIMIT $5

-- name: runs
SELECT * FROM sluice.runs_page($1, $2, $3, $4)

-- name: deletions
SELECT workspace_id, deletion_id, requested_at, contacts, done, finished_at FROM sluice.deletions
WHERE workspace_id = $1 AND (requested_at, deletion_id)
    < (coalesce($2::timestamptz, 'infinity'), coalesce($3::uuid, '00000000-0000-0000-0000-000000000000'))
ORDER BY requested_at DESC, deletion_id DESC LIMIT $4

-- name: audit
-- `target`, the fourth condition, is a part of what a command named.
SELECT * FROM sluice.audit_list
WHERE workspace_id = $1 AND ($2::text IS NULL OR actor = $2) AND ($3::text IS NULL OR command = $3)
    AND ($4::text IS NULL OR outcome = $4) AND ($5::text IS NULL OR strpos(target, $5) > 0) AND (at, command_id)
    < (coalesce($6::timestamptz, 'infinity'), coalesce($7::uuid, '00000000-0000-0000-0000-000000000000'))
ORDER BY at DESC, command_id DESC LIMIT $8
