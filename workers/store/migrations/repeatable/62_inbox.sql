-- The inbox: a row for each contact, a few seconds behind.

-- The newest accepted message of a contact. It goes from the generation with the latest event to older ones, and ends when no
-- older one can have a later message: mostly after the first.
CREATE FUNCTION sluice_core.newest_message(of_workspace text, of_contact uuid, OUT event_time timestamptz, OUT direction text)
LANGUAGE plpgsql STABLE SET search_path = sluice_core, pg_temp SET plan_cache_mode = auto AS $$
#variable_conflict use_column
DECLARE
    own bigint[] := ARRAY(SELECT i.identity_id FROM identities i WHERE i.workspace_id = of_workspace AND i.contact_id = of_contact);
    of_generation integer;
    latest timestamptz;
    found_time timestamptz;
    found_kind text;
    best_kind text;
    best_time timestamptz;
BEGIN
    FOR of_generation, latest IN
        SELECT g.generation, g.last_event FROM generations g ORDER BY g.last_event DESC, g.generation DESC
    LOOP
        EXIT WHEN best_time >= latest;
        SELECT m.event_time, m.kind INTO found_time, found_kind
        FROM unnest(own) AS i (identity_id)
        CROSS JOIN LATERAL (
            SELECT m.event_time, m.kind FROM messages m
            WHERE m.generation = of_generation AND m.identity_id = i.identity_id AND m.drop_reason IS NULL
            ORDER BY m.event_time DESC LIMIT 1
        ) AS m
        ORDER BY m.event_time DESC LIMIT 1;
        IF found_time > best_time OR best_time IS NULL THEN
            best_time := found_time;
            best_kind := found_kind;
        END IF;
    END LOOP;
    event_time := best_time;
    direction := CASE WHEN best_kind IN ('echo', 'send', 'broadcast') THEN 'out' WHEN best_kind IS NOT NULL THEN 'in' END;
END $$;

CREATE VIEW sluice.inbox AS
SELECT r.workspace_id, r.contact_id, r.status, r.assignee, r.last_message_at, r.last_direction, r.snoozed_until
FROM sluice_core.inbox_rows r
WHERE NOT EXISTS (
    SELECT FROM sluice_core.deleted_contacts d
    WHERE d.workspace_id = r.workspace_id AND d.contact_id = r.contact_id AND NOT d.cut_off OFFSET 0
);

-- How many contacts of the inbox have each status and assignee; null: nobody.
CREATE VIEW sluice.inbox_counts AS
SELECT workspace_id, status, assignee, contacts FROM sluice_core.inbox_totals WHERE contacts > 0;
