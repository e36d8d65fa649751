-- Deleted contacts: cut off by the command, erased by a job in steps.

-- name: some_contacts
SELECT contact_id FROM living_contacts WHERE workspace_id = $1 AND merged_into IS NULL ORDER BY contact_id LIMIT $2

-- name: among
SELECT d.workspace_id, d.contact_id FROM unnest($1::text[], $2::uuid[]) AS wanted (workspace_id, contact_id)
JOIN deleted_contacts d USING (workspace_id, contact_id)

-- name: add
INSERT INTO deletions (workspace_id, deletion_id, requested_at, contacts) VALUES ($1, $2, $3, $4)

-- name: add_contacts
INSERT INTO deleted_contacts (workspace_id, contact_id, deletion_id, deleted_at)
SELECT $1, contact_id, $2, $3 FROM unnest($4::uuid[]) AS contact_id ORDER BY contact_id

-- name: add_many
-- All contacts of a workspace, or those in $4, with those that were merged into them; none if they are not $5.
WITH found AS MATERIALIZED (
    SELECT c.contact_id, c.merged_into FROM living_contacts c
    WHERE c.workspace_id = $1 AND $4::uuid[] IS NULL
    UNION
    SELECT c.contact_id, c.merged_into FROM unnest($4::uuid[]) AS wanted (contact_id)
    JOIN living_contacts c ON c.workspace_id = $1 AND c.contact_id = wanted.contact_id
    UNION
    SELECT c.contact_id, c.merged_into FROM unnest($4::uuid[]) AS wanted (contact_id)
    JOIN living_contacts c ON c.workspace_id = $1 AND c.merged_into = wanted.contact_id
), number AS (
    SELECT count(*) AS contacts FROM found WHERE merged_into IS NULL
), deletion AS (
    INSERT INTO deletions (workspace_id, deletion_id, requested_at, contacts, cutting)
    SELECT $1, $2, $3, count(*), true FROM found HAVING (SELECT contacts FROM number) = $5 AND $5 > 0
), added AS (
    INSERT INTO deleted_contacts (workspace_id, contact_id, deletion_id, deleted_at, cut_off)
    SELECT $1, contact_id, $2, $3, false FROM found WHERE (SELECT contacts FROM number) = $5 ORDER BY contact_id
)
SELECT contacts FROM number

-- name: count_concerned
-- The runs that a deletion halts, and the holds that it cancels.
SELECT (
    SELECT count(*) FROM deleted_contacts d
    CROSS JOIN LATERAL runs_alive(d.workspace_id, d.contact_id, NULL, true, '-infinity', '', NULL, NULL) AS r
    WHERE d.workspace_id = $1 AND d.deletion_id = $2 AND NOT d.erased
) AS runs, (
    SELECT count(*) FROM deleted_contacts d
    JOIN sends s ON s.workspace_id = d.workspace_id AND s.contact_id = d.contact_id AND s.status = 'held'
    WHERE d.workspace_id = $1 AND d.deletion_id = $2 AND NOT d.erased
) AS holds

-- name: whole
-- The next contacts to cut off, and as of when.
SELECT contact_id, deleted_at FROM deleted_contacts
WHERE workspace_id = $1 AND deletion_id = $2 AND NOT erased AND NOT cut_off ORDER BY contact_id LIMIT $3

-- name: begin_cut
UPDATE deleted_contacts SET cut_off = true WHERE workspace_id = $1 AND contact_id = ANY ($2::uuid[])

-- name: all_cut
UPDATE deletions SET cutting = false WHERE workspace_id = $1 AND deletion_id = $2

-- name: whole_owners
-- Deleted contacts that still have these addresses.
SELECT DISTINCT d.workspace_id, d.contact_id, d.deleted_at
FROM unnest($1::text[], $2::text[], $3::text[], $4::text[]) AS wanted (workspace_id, channel, scope, lookup)
CROSS JOIN LATERAL (
    SELECT i.contact_id FROM identities i
    WHERE i.workspace_id = wanted.workspace_id AND i.channel = wanted.channel AND i.scope = wanted.scope AND i.lookup = wanted.lookup
        AND i.ended_at IS NULL LIMIT 1
) AS i
CROSS JOIN LATERAL (
    SELECT d.* FROM deleted_contacts d
    WHERE d.workspace_id = wanted.workspace_id AND d.contact_id = i.contact_id AND NOT d.cut_off LIMIT 1
) AS d

-- name: is_cutting
SELECT EXISTS (SELECT FROM deletions WHERE cutting)

-- name: whole_among
SELECT d.workspace_id, d.contact_id, d.deleted_at FROM unnest($1::text[], $2::uuid[]) AS wanted (workspace_id, contact_id)
CROSS JOIN LATERAL (
    SELECT d.* FROM deleted_contacts d
    WHERE d.workspace_id = wanted.workspace_id AND d.contact_id = wanted.contact_id AND NOT d.cut_off LIMIT 1
) AS d

-- name: cut_off
WITH gone AS (
    DELETE FROM identities i USING unnest($1::text[], $2::uuid[]) AS d (workspace_id, contact_id)
    WHERE i.workspace_id = d.workspace_id AND i.contact_id = d.contact_id
    RETURNING i.*
), kept AS (
    INSERT INTO deleted_identities (workspace_id, identity_id, contact_id, channel, scope, lookup, address, began_at, ended_at, home_id)
    SELECT workspace_id, identity_id, contact_id, channel, scope, lookup, address, began_at, ended_at, coalesce(home_id, contact_id)
    FROM gone
    ORDER BY workspace_id, identity_id
)
SELECT gone.workspace_id, gone.channel, gone.scope, gone.lookup, gone.identity_id, gone.contact_id, gone.began_at, gone.ended_at,
    gone.opted_out, gone.opted_at, gone.opted_by, block.issued_at, block.command_id, block.actor_id
FROM gone
LEFT JOIN LATERAL (
    SELECT b.issued_at, b.command_id, b.actor_id FROM contacts c
    JOIN block_commands b ON b.workspace_id = c.workspace_id AND b.contact_id = c.contact_id AND NOT b.unblocks
        AND b.issued_at = c.blocked_at
    WHERE c.workspace_id = gone.workspace_id AND c.contact_id = gone.contact_id ORDER BY b.command_id LIMIT 1
) AS block ON gone.ended_at IS NULL

-- name: remove
-- The contacts, with the numbers of contacts of their profiles. Their records on contacts.changes become tombstones.
WITH gone AS (
    DELETE FROM contacts c USING unnest($1::text[], $2::uuid[]) AS d (workspace_id, contact_id)
    WHERE c.workspace_id = d.workspace_id AND c.contact_id = d.contact_id
    RETURNING c.workspace_id, c.contact_id, c.profile_id
), fewer AS (
    UPDATE profiles p SET contacts = p.contacts - gone.number
    FROM (
        SELECT workspace_id, profile_id, count(*)::integer AS number FROM gone
        WHERE profile_id IS NOT NULL GROUP BY workspace_id, profile_id ORDER BY workspace_id, profile_id
    ) AS gone
    WHERE p.workspace_id = gone.workspace_id AND p.profile_id = gone.profile_id
)
INSERT INTO unpublished_contacts (workspace_id, contact_id, revision)
SELECT workspace_id, contact_id, -nextval('repair_revisions')
FROM (SELECT workspace_id, contact_id FROM gone ORDER BY workspace_id, contact_id) AS gone
ON CONFLICT (workspace_id, contact_id) DO UPDATE SET revision = excluded.revision

-- name: erase_merges
-- What was kept to undo merges of these contacts.
UPDATE merges m SET snapshot = NULL
FROM (
    SELECT m.workspace_id, m.merge_id FROM unnest($1::text[], $2::uuid[]) AS d (workspace_id, contact_id)
    CROSS JOIN LATERAL (
        (SELECT m.workspace_id, m.merge_id FROM merges m WHERE m.workspace_id = d.workspace_id AND m.survivor_id = d.contact_id)
        UNION ALL
        (SELECT m.workspace_id, m.merge_id FROM merges m WHERE m.workspace_id = d.workspace_id AND m.loser_id = d.contact_id)
    ) AS m
) AS gone
WHERE m.workspace_id = gone.workspace_id AND m.merge_id = gone.merge_id

-- name: next
SELECT workspace_id, deletion_id, cutting, letters_read, letters_until FROM deletions
WHERE finished_at IS NULL AND events_until IS NULL ORDER BY served_at NULLS FIRST, workspace_id, deletion_id LIMIT 1

-- name: served
UPDATE deletions SET served_at = clock_timestamp(), done = done + $3 WHERE workspace_id = $1 AND deletion_id = $2

-- name: begin_letters
UPDATE deletions SET letters_until = (SELECT coalesce(max(id), 0) FROM dead_letters),
    -- Those that are seen at the same time may have their ids in another order.
    letters_read = coalesce(
        (SELECT id - 10000 FROM dead_letters WHERE erased_at IS NULL ORDER BY first_seen LIMIT 1),
        (SELECT coalesce(max(id), 0) FROM dead_letters)
    )
WHERE workspace_id = $1 AND deletion_id = $2

-- name: letters
-- The next letters with content, $3 at most and with $4 bytes, but at least one.
SELECT id, key, value FROM (
    SELECT id, key, value, sum(octet_length(value)) OVER (ORDER BY id) - octet_length(value) AS before FROM (
        SELECT id, key, value FROM dead_letters WHERE id > $1 AND id <= $2 AND value IS NOT NULL ORDER BY id LIMIT $3
    ) AS d
) AS d
WHERE before < $4
ORDER BY id

-- name: letters_naming
-- Which of these (letter, text) name an address of the workspace's contacts that are being erased.
SELECT DISTINCT wanted.id FROM unnest($2::bigint[], $3::text[]) AS wanted (id, said)
CROSS JOIN LATERAL (
    (SELECT FROM deleted_identities i WHERE i.workspace_id = $1 AND i.lookup = wanted.said LIMIT 1)
    UNION ALL
    (SELECT FROM deleted_identities i WHERE i.workspace_id = $1 AND i.address = wanted.said AND i.address <> i.lookup LIMIT 1)
) AS named

-- name: erase_letters
UPDATE dead_letters SET key = NULL, value = NULL, headers = NULL, erased_at = coalesce(erased_at, now())
WHERE id = ANY ($1::bigint[])

-- name: letters_done
UPDATE deletions SET letters_read = $3 WHERE workspace_id = $1 AND deletion_id = $2

-- name: receipts
SELECT topic, partition, "offset", value FROM parked_receipts
WHERE workspace_id = $1 AND (topic, partition, "offset") > ($2, $3::int, $4::bigint) ORDER BY topic, partition, "offset" LIMIT $5

-- name: erase_receipts
DELETE FROM parked_receipts WHERE workspace_id = $1
    AND (topic, partition, "offset") IN (SELECT * FROM unnest($2::text[], $3::int[], $4::bigint[]))

-- name: contacts_to_erase
SELECT contact_id FROM deleted_contacts WHERE workspace_id = $1 AND deletion_id = $2 AND NOT erased ORDER BY contact_id LIMIT $3

-- name: held
-- Holds of deleted contacts, $3 at most.
SELECT s.contact_id, s.send_id FROM sends s
WHERE s.workspace_id = $1 AND s.contact_id = ANY ($2::uuid[]) AND s.status = 'held' ORDER BY s.contact_id, s.send_id LIMIT $3

-- name: erase_messages
SELECT erase_messages($1, $2::uuid[], $3)

-- name: erase_sends
WITH found AS MATERIALIZED (
    SELECT s.send_id FROM sends s
    WHERE s.workspace_id = $1 AND s.send_id = ANY (ARRAY(
        SELECT own.send_id FROM unnest($2::uuid[]) AS gone (contact_id)
        CROSS JOIN LATERAL (
            SELECT s.send_id FROM sends s
            WHERE s.workspace_id = $1 AND s.contact_id = gone.contact_id AND (s.lookup IS NOT NULL OR s.content::text <> '{}')
            LIMIT $3
        ) AS own LIMIT $3
    ))
    ORDER BY s.send_id FOR UPDATE
), receipts AS (
    DELETE FROM parked_receipts p USING found WHERE p.workspace_id = $1 AND p.send_id = found.send_id
), attempts AS (
    -- As `hidden` in workers/store/send_attempts.py.
    UPDATE send_attempts a
    SET provider_message_id = 'sha256:' || encode(sha256(convert_to(a.provider_message_id, 'UTF8')), 'hex'), error_message = NULL
    FROM found
    WHERE a.workspace_id = $1 AND a.send_id = found.send_id AND num_nonnulls(a.provider_message_id, a.error_message) > 0
)
UPDATE sends s SET content = '{}', scope = NULL, lookup = NULL, address = NULL, traceparent = NULL, address_hashes = NULL
FROM found WHERE s.workspace_id = $1 AND s.send_id = found.send_id

-- name: erase_comments
DELETE FROM comments WHERE (workspace_id, contact_id, written_at, comment_id) IN (
    SELECT workspace_id, contact_id, written_at, comment_id FROM comments
    WHERE workspace_id = $1 AND contact_id = ANY ($2::uuid[]) LIMIT $3)

-- name: erase_tags
DELETE FROM contact_tags WHERE (workspace_id, contact_id, tag) IN (
    SELECT workspace_id, contact_id, tag FROM contact_tags WHERE workspace_id = $1 AND contact_id = ANY ($2::uuid[]) LIMIT $3)

-- name: erase_blocks
DELETE FROM block_commands WHERE (workspace_id, contact_id, unblocks, issued_at, command_id) IN (
    SELECT workspace_id, contact_id, unblocks, issued_at, command_id FROM block_commands
    WHERE workspace_id = $1 AND contact_id = ANY ($2::uuid[]) LIMIT $3)

-- name: erased
WITH addresses AS (
    UPDATE deleted_identities SET lookup = NULL, address = NULL WHERE workspace_id = $1 AND contact_id = ANY ($2::uuid[])
)
UPDATE deleted_contacts SET erased = true WHERE workspace_id = $1 AND contact_id = ANY ($2::uuid[])

-- name: wait_for_queues
UPDATE deletions SET batches_until = (SELECT coalesce(max(seq), 0) FROM batch_outbox),
    events_until = (SELECT coalesce(max(id), 0) FROM outbox)
WHERE workspace_id = $1 AND deletion_id = $2

-- name: finish
UPDATE deletions d SET finished_at = $1
WHERE d.finished_at IS NULL AND d.events_until IS NOT NULL
    AND NOT EXISTS (SELECT FROM outbox o WHERE o.id <= d.events_until)
    AND NOT EXISTS (SELECT FROM batch_outbox b WHERE b.seq <= d.batches_until)
