-- Rows of the inbox.

-- name: note
-- One row for each workspace; its ids are one array, as text.
INSERT INTO inbox_news (workspace_id, generation, identity_ids)
SELECT workspace_id, $3, ids::bigint[] FROM unnest($1::text[], $2::text[]) AS new (workspace_id, ids)

-- name: take_news
-- Takes the oldest news, of about $1 identities, and writes down the new messages. Returns the contacts whose messages were revised,
-- and a row without a contact if there was anything to take.
WITH first AS MATERIALIZED (
    SELECT n.number FROM (
        SELECT n.number, sum(n.ids) OVER (ORDER BY n.number) - n.ids AS before
        FROM (SELECT number, cardinality(identity_ids) AS ids FROM inbox_news ORDER BY number LIMIT 500) AS n
    ) AS n WHERE n.before < $1
), taken AS (
    DELETE FROM inbox_news WHERE number = ANY (ARRAY(SELECT number FROM first))
    RETURNING workspace_id, generation, identity_ids
), concerned AS MATERIALIZED (
    SELECT t.workspace_id, t.generation, i.contact_id, t.identity_id
    FROM (SELECT DISTINCT workspace_id, generation, unnest(identity_ids) AS identity_id FROM taken) AS t
    CROSS JOIN LATERAL (
        SELECT i.contact_id FROM identities i WHERE i.workspace_id = t.workspace_id AND i.identity_id = t.identity_id LIMIT 1
    ) AS i
), written AS (
    UPDATE inbox_rows r SET last_message_at = new.event_time, last_direction = new.direction
    FROM (
        SELECT DISTINCT ON (c.workspace_id, c.contact_id) c.workspace_id, c.contact_id, m.event_time,
            CASE WHEN m.kind IN ('echo', 'send', 'broadcast') THEN 'out' ELSE 'in' END AS direction
        FROM concerned c
        CROSS JOIN LATERAL (
            SELECT m.event_time, m.kind FROM messages m
            WHERE m.generation = c.generation AND m.identity_id = c.identity_id AND m.drop_reason IS NULL
            ORDER BY m.event_time DESC LIMIT 1
        ) AS m
        WHERE c.generation IS NOT NULL
        ORDER BY c.workspace_id, c.contact_id, m.event_time DESC
    ) AS new
    WHERE r.workspace_id = new.workspace_id AND r.contact_id = new.contact_id
        AND (r.last_message_at IS NULL OR r.last_message_at < new.event_time)
)
SELECT workspace_id, contact_id FROM concerned WHERE generation IS NULL
UNION ALL
SELECT NULL, NULL WHERE EXISTS (SELECT FROM first)

-- name: renew
-- The rows of these contacts as they are now, and the totals with them.
WITH present AS (
    SELECT k.workspace_id, k.contact_id, o.status IS NOT NULL AS exists, o.status, o.assignee, o.snoozed_until, m.event_time, m.direction
    FROM unnest($1::text[], $2::uuid[]) AS k (workspace_id, contact_id)
    LEFT JOIN LATERAL (
        SELECT o.conversation_status AS status, o.assignee,
            CASE WHEN o.conversation_status = 'snoozed' THEN c.snoozed_until END AS snoozed_until
        FROM sluice.contact_overview o
        JOIN contacts c ON c.workspace_id = o.workspace_id AND c.contact_id = o.contact_id
        WHERE o.workspace_id = k.workspace_id AND o.contact_id = k.contact_id
    ) AS o ON true
    LEFT JOIN LATERAL newest_message(k.workspace_id, k.contact_id) AS m ON o.status IS NOT NULL
), changed AS (
    SELECT p.*, r.contact_id IS NOT NULL AS existed, r.status AS had_status, r.assignee AS had_assignee
    FROM present p
    LEFT JOIN inbox_rows r ON r.workspace_id = p.workspace_id AND r.contact_id = p.contact_id
    WHERE (p.status, p.assignee, p.snoozed_until, p.event_time, p.direction)
        IS DISTINCT FROM (r.status, r.assignee, r.snoozed_until, r.last_message_at, r.last_direction)
), gone AS (
    DELETE FROM inbox_rows r USING changed c
    WHERE r.workspace_id = c.workspace_id AND r.contact_id = c.contact_id AND NOT c.exists
), kept AS (
    INSERT INTO inbox_rows (workspace_id, contact_id, status, assignee, snoozed_until, last_message_at, last_direction)
    SELECT workspace_id, contact_id, status, assignee, snoozed_until, event_time, direction
    FROM changed WHERE exists ORDER BY workspace_id, contact_id
    ON CONFLICT (workspace_id, contact_id) DO UPDATE SET status = excluded.status, assignee = excluded.assignee,
        snoozed_until = excluded.snoozed_until, last_message_at = excluded.last_message_at, last_direction = excluded.last_direction
)
INSERT INTO inbox_totals (workspace_id, assignee, status, contacts)
SELECT workspace_id, assignee, status, sum(more) FROM (
    SELECT workspace_id, assignee, status, 1 AS more FROM changed WHERE exists
    UNION ALL
    SELECT workspace_id, had_assignee, had_status, -1 FROM changed WHERE existed
) AS moved
GROUP BY workspace_id, assignee, status HAVING sum(more) <> 0 ORDER BY workspace_id, assignee, status
ON CONFLICT (workspace_id, assignee, status) DO UPDATE SET contacts = inbox_totals.contacts + excluded.contacts
