-- name: find
SELECT workspace_id, command_id, command, outcome, reason, detail, changed, applied_at
FROM commands
WHERE (workspace_id, command_id) IN (SELECT * FROM unnest($1::text[], $2::uuid[]))

-- name: forget
DELETE FROM commands WHERE ctid = ANY (ARRAY(
    SELECT ctid FROM commands WHERE applied_at < $1 ORDER BY applied_at LIMIT $2 FOR UPDATE SKIP LOCKED
))

-- name: add
INSERT INTO commands (workspace_id, command_id, command, actor_id, actor_role, actor_module, target, issued_at, outcome,
    reason, detail, changed, applied_at)
SELECT workspace_id, command_id, command, actor_id, actor_role, actor_module, target, issued_at, outcome, reason, detail,
    changed::json, $13
FROM unnest($1::text[], $2::uuid[], $3::text[], $4::text[], $5::text[], $6::text[], $7::text[], $8::timestamptz[], $9::text[],
        $10::text[], $11::text[], $12::text[])
    AS new (workspace_id, command_id, command, actor_id, actor_role, actor_module, target, issued_at, outcome, reason, detail,
        changed)
ORDER BY workspace_id, command_id
ON CONFLICT DO NOTHING
