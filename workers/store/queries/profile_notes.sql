-- name: read
-- The profile is locked, and with it its notes.
SELECT workspace_id, profile_id, note_id, text, text_at, text_by, created_by, created_at, edited_by, edited_at,
    deleted_at, deleted_by
FROM profile_notes
WHERE (workspace_id, profile_id, note_id) IN (SELECT * FROM unnest($1::text[], $2::text[], $3::text[]))

-- name: count
-- Up to $3 for each profile: nobody needs to know how many more there are.
SELECT wanted.workspace_id, wanted.profile_id, (
    SELECT count(*) FROM (
        SELECT FROM profile_notes n
        WHERE n.workspace_id = wanted.workspace_id AND n.profile_id = wanted.profile_id AND n.deleted_at IS NULL LIMIT $3
    ) AS counted
)
FROM unnest($1::text[], $2::text[]) AS wanted (workspace_id, profile_id)

-- name: save
INSERT INTO profile_notes (workspace_id, profile_id, note_id, text, text_at, text_by, created_by, created_at, edited_by,
    edited_at, deleted_at, deleted_by)
SELECT * FROM unnest($1::text[], $2::text[], $3::text[], $4::text[], $5::timestamptz[], $6::uuid[], $7::text[],
    $8::timestamptz[], $9::text[], $10::timestamptz[], $11::timestamptz[], $12::uuid[])
    AS new (workspace_id, profile_id, note_id)
ORDER BY workspace_id, profile_id, note_id
ON CONFLICT (workspace_id, profile_id, note_id) DO UPDATE SET text = excluded.text, text_at = excluded.text_at,
    text_by = excluded.text_by, edited_by = excluded.edited_by, edited_at = excluded.edited_at,
    deleted_at = excluded.deleted_at, deleted_by = excluded.deleted_by

-- name: erase
DELETE FROM profile_notes
WHERE (workspace_id, profile_id) IN (SELECT * FROM unnest($1::text[], $2::text[]))
