-- name: neighbours
-- The stored commands that decide how each new one changes its contact's history: the last unblock before it ($3 to $5), the
-- block that began after that one, the first unblock and the first block after it, and the unblock that ends the latter. Each is
-- one index look-up, for any number of commands: those of one kind are in the order of (issued_at, command_id); at one time
-- unblocks come first. $6 and $7 are the last and the first of all ids.
SELECT DISTINCT near.workspace_id, near.contact_id, near.issued_at, near.unblocks, near.command_id, near.actor_id
FROM unnest($1::text[], $2::uuid[], $3::timestamptz[], $4::boolean[], $5::uuid[])
    AS new (workspace_id, contact_id, issued_at, unblocks, command_id)
LEFT JOIN LATERAL (
    SELECT c.* FROM block_commands c
    WHERE c.workspace_id = new.workspace_id AND c.contact_id = new.contact_id AND c.unblocks
        AND (c.issued_at, c.command_id) <= (new.issued_at, CASE WHEN new.unblocks THEN new.command_id ELSE $6::uuid END)
    ORDER BY c.issued_at DESC, c.command_id DESC LIMIT 1
) AS free ON true
LEFT JOIN LATERAL (
    SELECT c.* FROM block_commands c
    WHERE c.workspace_id = new.workspace_id AND c.contact_id = new.contact_id AND NOT c.unblocks
        AND c.issued_at >= coalesce(free.issued_at, '-infinity')
    ORDER BY c.issued_at, c.command_id LIMIT 1
) AS began ON true
LEFT JOIN LATERAL (
    SELECT c.* FROM block_commands c
    WHERE c.workspace_id = new.workspace_id AND c.contact_id = new.contact_id AND c.unblocks
        AND (c.issued_at, c.command_id) > (new.issued_at, CASE WHEN new.unblocks THEN new.command_id ELSE $6::uuid END)
    ORDER BY c.issued_at, c.command_id LIMIT 1
) AS ended ON true
LEFT JOIN LATERAL (
    SELECT c.* FROM block_commands c
    WHERE c.workspace_id = new.workspace_id AND c.contact_id = new.contact_id AND NOT c.unblocks
        AND (c.issued_at, c.command_id) >= (new.issued_at, CASE WHEN new.unblocks THEN $7::uuid ELSE new.command_id END)
    ORDER BY c.issued_at, c.command_id LIMIT 1
) AS again ON true
LEFT JOIN LATERAL (
    SELECT c.* FROM block_commands c
    WHERE c.workspace_id = new.workspace_id AND c.contact_id = new.contact_id AND c.unblocks AND c.issued_at > again.issued_at
    ORDER BY c.issued_at, c.command_id LIMIT 1
) AS ended_again ON true
CROSS JOIN LATERAL (VALUES
    (free.workspace_id, free.contact_id, free.issued_at, free.unblocks, free.command_id, free.actor_id),
    (began.workspace_id, began.contact_id, began.issued_at, began.unblocks, began.command_id, began.actor_id),
    (ended.workspace_id, ended.contact_id, ended.issued_at, ended.unblocks, ended.command_id, ended.actor_id),
    (again.workspace_id, again.contact_id, again.issued_at, again.unblocks, again.command_id, again.actor_id),
    (ended_again.workspace_id, ended_again.contact_id, ended_again.issued_at, ended_again.unblocks, ended_again.command_id,
        ended_again.actor_id)
) AS near (workspace_id, contact_id, issued_at, unblocks, command_id, actor_id)
WHERE near.command_id IS NOT NULL

-- name: add
INSERT INTO block_commands (workspace_id, contact_id, issued_at, unblocks, command_id, actor_id, note, recorded_at)
SELECT workspace_id, contact_id, issued_at, unblocks, command_id, actor_id, note, recorded_at
FROM unnest($1::text[], $2::uuid[], $3::timestamptz[], $4::boolean[], $5::uuid[], $6::text[], $7::text[], $8::timestamptz[])
    AS new (workspace_id, contact_id, issued_at, unblocks, command_id, actor_id, note, recorded_at)
ORDER BY workspace_id, contact_id, unblocks, issued_at, command_id
ON CONFLICT DO NOTHING

-- name: apart
-- Unblocks after a time that one of two contacts has and the other one has not: those of the contact $2, and the first of $3.
SELECT asked.workspace_id, asked.contact_id, asked.at, own.times, theirs.issued_at, theirs.command_id, theirs.actor_id
FROM unnest($1::text[], $2::uuid[], $3::uuid[], $4::timestamptz[]) AS asked (workspace_id, contact_id, other_id, at)
CROSS JOIN LATERAL (
    SELECT array_agg(u.issued_at ORDER BY u.issued_at) AS times FROM block_commands u
    WHERE u.workspace_id = asked.workspace_id AND u.contact_id = asked.contact_id AND u.unblocks AND u.issued_at > asked.at
        AND NOT EXISTS (
            SELECT FROM block_commands o WHERE o.workspace_id = u.workspace_id AND o.contact_id = asked.other_id AND o.unblocks
                AND o.issued_at = u.issued_at AND o.command_id = u.command_id
        )
) AS own
LEFT JOIN LATERAL (
    SELECT u.issued_at, u.command_id, u.actor_id FROM block_commands u
    WHERE u.workspace_id = asked.workspace_id AND u.contact_id = asked.other_id AND u.unblocks AND u.issued_at > asked.at
        AND NOT EXISTS (
            SELECT FROM block_commands o WHERE o.workspace_id = u.workspace_id AND o.contact_id = asked.contact_id AND o.unblocks
                AND o.issued_at = u.issued_at AND o.command_id = u.command_id
        )
    ORDER BY u.issued_at, u.command_id LIMIT 1
) AS theirs ON true

-- name: at_times
-- For each time the interval that contains it, and the first one that begins after it.
SELECT DISTINCT m.workspace_id, m.contact_id, lower(i.block) AS start, upper(i.block) AS "end"
FROM unnest($1::text[], $2::uuid[], $3::timestamptz[]) AS m (workspace_id, contact_id, at)
CROSS JOIN LATERAL (SELECT older_block(m.workspace_id, m.contact_id, m.at) AS block) AS held
LEFT JOIN LATERAL (
    SELECT c.issued_at FROM block_commands c
    WHERE c.workspace_id = m.workspace_id AND c.contact_id = m.contact_id AND NOT c.unblocks
        AND c.issued_at > m.at AND c.issued_at >= coalesce(upper(held.block), '-infinity')
        AND (held.block IS NULL OR NOT upper_inf(held.block))
    ORDER BY c.issued_at LIMIT 1
) AS next ON true
CROSS JOIN LATERAL (VALUES (held.block), (older_block(m.workspace_id, m.contact_id, next.issued_at))) AS i (block)
WHERE i.block IS NOT NULL
