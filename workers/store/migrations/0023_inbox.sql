-- The inbox is a row for each contact, a few seconds behind. Inbound notes whose messages it stored; upkeep brings the rows up to date.

CREATE TABLE sluice_core.inbox_rows (
    workspace_id text NOT NULL,
    contact_id uuid NOT NULL,
    status text NOT NULL,
    assignee text,
    snoozed_until timestamptz,
    -- of the newest accepted message; null: there is none
    last_message_at timestamptz,
    last_direction text,
    PRIMARY KEY (workspace_id, contact_id)
) WITH (fillfactor = 80);

-- Contacts of each status and assignee, null: nobody's.
CREATE TABLE sluice_core.inbox_totals (
    workspace_id text NOT NULL,
    assignee text,
    status text NOT NULL,
    contacts bigint NOT NULL,
    UNIQUE NULLS NOT DISTINCT (workspace_id, assignee, status)
);

-- Identities with messages that the rows do not know. `revised`: messages that were there changed as well.
CREATE TABLE sluice_core.inbox_news (
    number bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    workspace_id text NOT NULL,
    generation int,                 -- of the new messages; null: any, as messages were revised
    identity_ids bigint[] NOT NULL
);

INSERT INTO sluice_core.inbox_rows (workspace_id, contact_id, status, assignee, snoozed_until, last_message_at, last_direction)
SELECT c.workspace_id, c.contact_id, s.status, c.assignee, CASE WHEN s.status = 'snoozed' THEN c.snoozed_until END, m.event_time,
    CASE WHEN m.kind IN ('echo', 'send', 'broadcast') THEN 'out' WHEN m.kind IS NOT NULL THEN 'in' END
FROM sluice_core.contacts c
CROSS JOIN LATERAL (
    SELECT CASE
        WHEN c.blocked_at IS NOT NULL THEN 'blocked'
        WHEN NOT coalesce(c.opened_at > coalesce(greatest(c.closed_at, lower(b.block)), '-infinity'), false)
            AND NOT coalesce(c.user_opened_at >= coalesce(upper(b.block), '-infinity'), false) THEN 'closed'
        WHEN c.snoozed_until > now() AND c.snoozed_at >= coalesce(upper(b.block), '-infinity')
            AND NOT coalesce(c.opened_at > c.snoozed_at, false) THEN 'snoozed'
        ELSE 'open'
    END AS status
    FROM (SELECT c.blocks[cardinality(c.blocks)] AS block) AS b
) AS s
LEFT JOIN LATERAL (
    SELECT m.event_time, m.kind
    FROM sluice_core.identities i
    CROSS JOIN sluice_core.generations g
    CROSS JOIN LATERAL (
        SELECT m.event_time, m.kind FROM sluice_core.messages m
        WHERE m.generation = g.generation AND m.identity_id = i.identity_id AND m.drop_reason IS NULL
        ORDER BY m.event_time DESC LIMIT 1
    ) AS m
    WHERE i.workspace_id = c.workspace_id AND i.contact_id = c.contact_id
    ORDER BY m.event_time DESC LIMIT 1
) AS m ON true
WHERE c.merged_into IS NULL;
INSERT INTO sluice_core.inbox_totals (workspace_id, assignee, status, contacts)
SELECT workspace_id, assignee, status, count(*) FROM sluice_core.inbox_rows GROUP BY workspace_id, assignee, status;

CREATE INDEX inbox_by_status ON sluice_core.inbox_rows (workspace_id, status, last_message_at, contact_id);
CREATE INDEX inbox_by_assignee ON sluice_core.inbox_rows (workspace_id, assignee, status, last_message_at, contact_id)
    WHERE assignee IS NOT NULL;
