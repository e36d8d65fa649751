-- name: said
SELECT c.workspace_id, c.contact_id, c.profile_id, c.profile_at, c.profile_by, c.display_name, c.first_name, c.last_name, c.country,
    c.language, c.email, c.phone, c.avatar_url
FROM unnest($1::text[], $2::uuid[]) AS wanted (workspace_id, contact_id)
CROSS JOIN LATERAL (
    SELECT c.* FROM contacts c WHERE c.workspace_id = wanted.workspace_id AND c.contact_id = wanted.contact_id LIMIT 1
) AS c

-- name: save_said
UPDATE contacts SET display_name = $3, first_name = $4, last_name = $5, country = $6, language = $7, email = $8, phone = $9,
    avatar_url = $10
WHERE workspace_id = $1 AND contact_id = $2

-- name: tags
SELECT tag, present, written_at, written_by FROM contact_tags WHERE workspace_id = $1 AND contact_id = $2

-- name: forget_tags
DELETE FROM contact_tags WHERE workspace_id = $1 AND contact_id = $2 AND tag = ANY ($3::text[])

-- name: join
-- The contact and those that were merged into it lead to the survivor.
UPDATE contacts c SET merged_into = $3, revision = c.revision + (c.contact_id = $2)::int
FROM unnest(ARRAY[$2::uuid] || $4::uuid[]) AS member (contact_id)
WHERE c.workspace_id = $1 AND c.contact_id = member.contact_id

-- name: part
UPDATE contacts c SET merged_into = CASE WHEN c.contact_id <> $2 THEN $2 END, revision = c.revision + (c.contact_id = $2)::int
FROM unnest(ARRAY[$2::uuid] || $3::uuid[]) AS member (contact_id)
WHERE c.workspace_id = $1 AND c.contact_id = member.contact_id

-- name: give_identities
UPDATE identities SET contact_id = $3, home_id = coalesce(home_id, contact_id)
WHERE workspace_id = $1 AND contact_id = $2
RETURNING identity_id

-- name: return_identities
UPDATE identities i SET contact_id = $3, home_id = CASE WHEN i.home_id <> $3 THEN i.home_id END
FROM unnest($4::bigint[]) AS came (identity_id)
WHERE i.workspace_id = $1 AND i.identity_id = came.identity_id AND i.contact_id = $2

-- name: give_holds
WITH held AS MATERIALIZED (
    SELECT s.send_id FROM sends s WHERE s.workspace_id = $1 AND s.contact_id = $2 AND s.status = 'held'
    ORDER BY s.send_id LIMIT $4 FOR UPDATE
)
UPDATE sends s SET contact_id = $3 FROM held
WHERE s.workspace_id = $1 AND s.send_id = held.send_id

-- name: return_holds
-- Those to an address that has gone back.
WITH held AS MATERIALIZED (
    SELECT s.send_id FROM identities i
    JOIN sends s ON s.workspace_id = i.workspace_id AND s.channel = i.channel AND s.scope = i.scope AND s.lookup = i.lookup
    WHERE i.workspace_id = $1 AND i.contact_id = $3 AND i.ended_at IS NULL AND s.contact_id = $2 AND s.status = 'held'
    ORDER BY s.send_id LIMIT $4 FOR UPDATE OF s
)
UPDATE sends s SET contact_id = $3 FROM held
WHERE s.workspace_id = $1 AND s.send_id = held.send_id

-- name: count_holds
SELECT count(*) FROM sends s WHERE s.workspace_id = $1 AND s.contact_id = $2 AND s.status = 'held'

-- name: add
INSERT INTO merges (workspace_id, merge_id, survivor_id, loser_id, actor_id, merged_at, recorded_at, snapshot)
VALUES ($1, $2, $3, $4, $5, $6, $7, $8)

-- name: find
SELECT merge_id, number, survivor_id, loser_id, merged_at, undone_at, snapshot FROM merges WHERE workspace_id = $1 AND merge_id = $2

-- name: merged_since
SELECT EXISTS (
    SELECT FROM merges m WHERE m.workspace_id = $1 AND m.survivor_id = ANY ($2::uuid[]) AND m.number > $3 AND m.undone_at IS NULL
) OR EXISTS (
    SELECT FROM merges m WHERE m.workspace_id = $1 AND m.loser_id = ANY ($2::uuid[]) AND m.number > $3 AND m.undone_at IS NULL
)

-- name: undo
UPDATE merges SET undone_at = $3, undo_recorded_at = $4 WHERE workspace_id = $1 AND merge_id = $2

-- name: has_profile
SELECT EXISTS (SELECT FROM profiles WHERE workspace_id = $1 AND profile_id = $2 AND deleted_at IS NULL)
