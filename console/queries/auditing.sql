-- name: commands
-- The newest first. `target` is a part of what a command named.
SELECT a.at, a.actor, a.role, a.module, a.command, a.command_id, a.target, a.outcome, a.reason, a.detail, a.changed
FROM sluice.audit_log AS a
WHERE a.workspace_id = $1 AND ($2::text IS NULL OR a.actor = $2) AND ($3::text IS NULL OR a.command = $3)
    AND ($4::text IS NULL OR a.outcome = $4) AND ($5::text IS NULL OR strpos(a.target, $5) > 0)
    AND (a.at, a.command_id) < (coalesce($6::timestamptz, 'infinity'), coalesce($7::uuid, '00000000-0000-0000-0000-000000000000'))
ORDER BY a.at DESC, a.command_id DESC LIMIT $8
