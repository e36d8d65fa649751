-- name: commands
-- The newest first. `target` is a part of what a command named.
SELECT at, actor, role, module, command, command_id, target, outcome, reason, detail, changed FROM sluice.audit_log
WHERE workspace_id = $1 AND ($2::text IS NULL OR actor = $2) AND ($3::text IS NULL OR command = $3)
    AND ($4::text IS NULL OR outcome = $4) AND ($5::text IS NULL OR strpos(target, $5) > 0)
    AND (at, command_id) < (coalesce($6::timestamptz, 'infinity'), coalesce($7::uuid, '00000000-0000-0000-0000-000000000000'))
ORDER BY at DESC, command_id DESC LIMIT $8
