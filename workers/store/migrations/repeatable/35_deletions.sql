-- Deleted contacts.

CREATE VIEW sluice.deletions AS
SELECT workspace_id, deletion_id, requested_at, contacts, done, finished_at FROM sluice_core.deletions;

-- Whose messages an identity has, also after the contact was deleted. `home_id`: whose it was before merges; null: unknown.
CREATE VIEW sluice_core.owned_identities AS
SELECT workspace_id, identity_id, contact_id, coalesce(home_id, contact_id) AS home_id FROM sluice_core.identities
UNION ALL
SELECT workspace_id, identity_id, contact_id, home_id FROM sluice_core.deleted_identities;

-- The identities that were a contact's before merges. In arms, each of which has an index.
CREATE VIEW sluice_core.home_identities AS
SELECT workspace_id, contact_id AS home_id, identity_id FROM sluice_core.identities WHERE home_id IS NULL
UNION ALL
SELECT workspace_id, home_id, identity_id FROM sluice_core.identities WHERE home_id IS NOT NULL
UNION ALL
SELECT workspace_id, contact_id, identity_id FROM sluice_core.deleted_identities WHERE home_id IS NULL
UNION ALL
SELECT workspace_id, home_id, identity_id FROM sluice_core.deleted_identities WHERE home_id IS NOT NULL;

-- Erases the content of messages of deleted contacts, `most` at most, and returns of how many. Each identity keeps its
-- place in the index of messages, so that no step reads what an earlier one erased. The rows stay: they prove counts.
CREATE FUNCTION sluice_core.erase_messages(of_workspace text, of_contacts uuid[], most integer) RETURNS integer
LANGUAGE plpgsql VOLATILE SET search_path = sluice_core, pg_temp SET plan_cache_mode = force_generic_plan AS $$
#variable_conflict use_column
DECLARE
    total integer := 0;
    number integer;
    latest timestamptz;
    since timestamptz;
    own bigint;
    first_generation integer;
    first_time timestamptz;
    of_generation integer;
BEGIN
    FOR own, first_generation, first_time IN
        SELECT i.identity_id, i.generation, i.event_time FROM deleted_identities i
        WHERE i.workspace_id = of_workspace AND i.contact_id = ANY (of_contacts) AND NOT i.erased ORDER BY i.identity_id
    LOOP
        FOR of_generation IN SELECT g.generation FROM generations g WHERE g.generation >= first_generation ORDER BY g.generation
        LOOP
            since := CASE WHEN of_generation = first_generation THEN first_time ELSE '-infinity' END;
            WITH gone AS (
                UPDATE messages m SET body = NULL, erase_at = NULL
                FROM (
                    SELECT f.message_id FROM (
                        (SELECT f.message_id, f.event_time FROM messages f
                        WHERE f.generation = of_generation AND f.identity_id = own AND f.drop_reason IS NULL
                            AND f.event_time >= since AND f.body IS NOT NULL
                        ORDER BY f.event_time LIMIT most - total)
                        UNION ALL
                        (SELECT f.message_id, f.event_time FROM messages f
                        WHERE f.generation = of_generation AND f.identity_id = own AND f.drop_reason IS NOT NULL
                            AND f.event_time >= since AND f.body IS NOT NULL
                        ORDER BY f.event_time LIMIT most - total)
                    ) AS f ORDER BY f.event_time LIMIT most - total
                ) AS f
                WHERE m.generation = of_generation AND m.message_id = f.message_id
                RETURNING m.event_time
            )
            SELECT count(*), max(event_time) INTO number, latest FROM gone;
            total := total + number;
            IF total >= most THEN
                UPDATE deleted_identities i SET generation = of_generation, event_time = latest
                WHERE i.workspace_id = of_workspace AND i.identity_id = own;
                RETURN total;
            END IF;
        END LOOP;
        UPDATE deleted_identities i SET erased = true WHERE i.workspace_id = of_workspace AND i.identity_id = own;
    END LOOP;
    RETURN total;
END $$;
