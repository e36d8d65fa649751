-- name: load
SELECT workspace_id, contact_id, opened_at, closed_at, user_opened_at, moved_by, snoozed_at, snoozed_by, snoozed_until
FROM contacts
WHERE (workspace_id, contact_id) IN (SELECT * FROM unnest($1::text[], $2::uuid[]))

-- name: save
UPDATE contacts c SET opened_at = new.opened_at, closed_at = new.closed_at, user_opened_at = new.user_opened_at,
    moved_by = new.moved_by, snoozed_at = new.snoozed_at, snoozed_by = new.snoozed_by, snoozed_until = new.snoozed_until,
    revision = c.revision + new.changed::int
FROM (SELECT * FROM unnest($1::text[], $2::uuid[], $3::timestamptz[], $4::timestamptz[], $5::timestamptz[], $6::uuid[],
        $7::timestamptz[], $8::uuid[], $9::timestamptz[], $10::boolean[])
        AS new (workspace_id, contact_id, opened_at, closed_at, user_opened_at, moved_by, snoozed_at, snoozed_by, snoozed_until,
            changed)
    ORDER BY workspace_id, contact_id) AS new
WHERE c.workspace_id = new.workspace_id AND c.contact_id = new.contact_id

-- name: end_snoozes
-- A locked contact is being changed by another transaction: the next run ends its snooze. By the rows' places, because a
-- join could become a scan of all contacts.
WITH ended AS (
    UPDATE contacts SET snoozed_until = NULL, revision = revision + 1
    WHERE ctid = ANY (ARRAY(
        SELECT ctid FROM contacts
        WHERE snoozed_until <= $1 ORDER BY snoozed_until LIMIT $2 FOR NO KEY UPDATE SKIP LOCKED
    ))
    RETURNING workspace_id, contact_id, revision
)
INSERT INTO unpublished_contacts (workspace_id, contact_id, revision)
SELECT * FROM ended ORDER BY workspace_id, contact_id
ON CONFLICT (workspace_id, contact_id) DO UPDATE SET revision = excluded.revision

-- name: add_comments
INSERT INTO comments (workspace_id, contact_id, written_at, comment_id, author, text)
SELECT * FROM unnest($1::text[], $2::uuid[], $3::timestamptz[], $4::uuid[], $5::text[], $6::text[])
