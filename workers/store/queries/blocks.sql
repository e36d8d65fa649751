-- name: find
SELECT workspace_id, contact_id, issued_at, unblocks, command_id, actor_id
FROM block_commands
WHERE (workspace_id, contact_id) IN (SELECT * FROM unnest($1::text[], $2::uuid[]))

-- name: add
INSERT INTO block_commands (workspace_id, contact_id, issued_at, unblocks, command_id, actor_id, note)
SELECT workspace_id, contact_id, issued_at, unblocks, command_id, actor_id, note
FROM unnest($1::text[], $2::uuid[], $3::timestamptz[], $4::boolean[], $5::uuid[], $6::text[], $7::text[])
    AS new (workspace_id, contact_id, issued_at, unblocks, command_id, actor_id, note)
ORDER BY workspace_id, contact_id, issued_at, command_id
ON CONFLICT DO NOTHING
