-- Keyed hashes of the addresses of deleted contacts.

-- name: key_ids
SELECT key_id FROM hash_keys

-- name: is_used
SELECT EXISTS (
    SELECT FROM unnest($1::text[]) AS k (key_id)
    CROSS JOIN LATERAL (SELECT FROM address_hashes h WHERE h.key_id = k.key_id LIMIT 1) AS h
)

-- name: add_key
INSERT INTO hash_keys (key_id) VALUES ($1) ON CONFLICT DO NOTHING

-- name: add
INSERT INTO address_hashes (workspace_id, hash, identity_id, key_id, contact_id, began_at, ended_at, commands, blocks, blocked, opted_out,
    opted_at, opted_by, forget_at)
SELECT workspace_id, hash, identity_id, $1, contact_id, began_at, ended_at, commands::jsonb, blocks::tstzrange[], blocked, opted_out,
    opted_at, opted_by, now() + make_interval(days => $2::int)
FROM unnest($3::text[], $4::bytea[], $5::bigint[], $6::uuid[], $7::timestamptz[], $8::timestamptz[], $9::text[], $10::text[],
        $11::boolean[], $12::boolean[], $13::timestamptz[], $14::uuid[])
    AS new (workspace_id, hash, identity_id, contact_id, began_at, ended_at, commands, blocks, blocked, opted_out, opted_at, opted_by)
ORDER BY workspace_id, hash, identity_id

-- name: find
-- Each hash is one look-up in the primary key, whatever PostgreSQL estimates.
SELECT wanted.position, h.hash, h.key_id, h.identity_id, h.contact_id, h.began_at, h.ended_at, h.commands, h.opted_out, h.opted_at, h.opted_by
FROM unnest($1::bigint[], $2::text[], $3::bytea[]) AS wanted (position, workspace_id, hash)
CROSS JOIN LATERAL (
    SELECT h.* FROM address_hashes h WHERE h.workspace_id = wanted.workspace_id AND h.hash = wanted.hash OFFSET 0
) AS h
ORDER BY wanted.position, h.ended_at DESC

-- name: lock
SELECT FROM address_hashes WHERE (workspace_id, hash) IN (SELECT * FROM unnest($1::text[], $2::bytea[]))
ORDER BY workspace_id, hash, identity_id FOR UPDATE

-- name: lock_of_contacts
SELECT workspace_id, hash, key_id, identity_id, contact_id, began_at, ended_at, commands, opted_out, opted_at, opted_by
FROM address_hashes WHERE (workspace_id, contact_id) IN (SELECT * FROM unnest($1::text[], $2::uuid[]))
ORDER BY workspace_id, hash, identity_id FOR UPDATE

-- name: renew
UPDATE address_hashes h SET hash = new.hash, key_id = $1, former_hash = h.hash,
    forget_at = greatest(h.forget_at, now() + make_interval(days => $2::int))
FROM unnest($3::text[], $4::bytea[], $5::bytea[]) AS new (workspace_id, old_hash, hash)
WHERE h.workspace_id = new.workspace_id AND h.hash = new.old_hash

-- name: save
-- Blocks and opt-outs; what is neither any more is forgotten two weeks later.
UPDATE address_hashes h SET commands = new.commands::jsonb, blocks = new.blocks::tstzrange[], blocked = new.blocked,
    opted_out = new.opted_out, opted_at = new.opted_at, opted_by = new.opted_by, forget_at = greatest(h.forget_at, now() + make_interval(days => $1::int))
FROM unnest($2::text[], $3::bytea[], $4::bigint[], $5::text[], $6::text[], $7::boolean[], $8::boolean[], $9::timestamptz[], $10::uuid[])
    AS new (workspace_id, hash, identity_id, commands, blocks, blocked, opted_out, opted_at, opted_by)
WHERE h.workspace_id = new.workspace_id AND h.hash = new.hash AND h.identity_id = new.identity_id

-- name: inherit
-- A new address begins where a deleted contact had it last; who opted out there has opted out.
UPDATE identities i SET began_at = greatest(i.began_at, new.began_at), opted_out = CASE WHEN new.opted_at IS NULL THEN i.opted_out ELSE new.opted_out END,
    opted_at = coalesce(new.opted_at, i.opted_at), opted_by = coalesce(new.opted_by, i.opted_by)
FROM unnest($1::text[], $2::bigint[], $3::timestamptz[], $4::boolean[], $5::timestamptz[], $6::uuid[])
    AS new (workspace_id, identity_id, began_at, opted_out, opted_at, opted_by)
WHERE i.workspace_id = new.workspace_id AND i.identity_id = new.identity_id

-- name: forget
DELETE FROM address_hashes WHERE ctid = ANY (ARRAY(
    SELECT ctid FROM address_hashes
    WHERE forget_at <= $1 AND NOT blocked AND NOT opted_out ORDER BY forget_at LIMIT $2 FOR UPDATE))

-- name: forget_former
-- Of those that stay.
UPDATE address_hashes SET former_hash = NULL WHERE ctid = ANY (ARRAY(
    SELECT ctid FROM address_hashes WHERE forget_at <= $1 AND former_hash IS NOT NULL ORDER BY forget_at LIMIT $2 FOR UPDATE))
