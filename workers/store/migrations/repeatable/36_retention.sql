-- message_retention_days.

-- For how many days each workspace keeps content; null: for good.
CREATE VIEW sluice_core.retention_days AS
SELECT DISTINCT ON (workspace_id) workspace_id,
    jsonb_path_query_first(value, 'strict $ ? (@ >= 1 && @ <= 2147483647)')::integer AS days
FROM sluice_core.effective_settings
WHERE channel_id = '' AND name = 'message_retention_days'
ORDER BY workspace_id, holds_from DESC;

-- The next step of a pass: erases the content of messages with an event time in [since, until), `most` at most, of the next `people`
-- addresses, and of the sends that they are. Returns of how many, and where the next step begins; the highest identity_id: nowhere.
--
-- Workers lock messages and sends in other orders, so the step waits for no row. It ends before one that is locked, and the next step
-- begins there. The rows stay: they prove counts.
CREATE FUNCTION sluice_core.erase_old_messages(
    of_workspace text, since timestamptz, until timestamptz, from_identity bigint, from_generation integer, from_time timestamptz,
    most integer, people integer,
    OUT erased integer, OUT identity_id bigint, OUT generation integer, OUT event_time timestamptz
)
LANGUAGE plpgsql VOLATILE SET search_path = sluice_core, pg_temp SET plan_cache_mode = force_generic_plan AS $$
#variable_conflict use_column
DECLARE
    last bigint;
    seen integer;
    own bigint;
    of_generation integer;
    start timestamptz;
    number integer;
    missed timestamptz;
    latest timestamptz;
BEGIN
    erased := 0;
    SELECT count(*), max(i.identity_id) INTO seen, last FROM (
        SELECT i.identity_id FROM identities i
        WHERE i.workspace_id = of_workspace AND i.identity_id >= from_identity ORDER BY i.identity_id LIMIT people
    ) AS i;
    FOR own, of_generation, start IN
        SELECT i.identity_id, g.generation, s.start
        FROM identities i
        CROSS JOIN generations g
        CROSS JOIN LATERAL (
            SELECT CASE WHEN i.identity_id = from_identity AND g.generation = from_generation THEN from_time ELSE since END AS start
        ) AS s
        WHERE i.workspace_id = of_workspace AND i.identity_id >= from_identity AND i.identity_id <= last AND g.last_event >= since
            AND (i.identity_id > from_identity OR g.generation >= from_generation)
            AND (EXISTS (
                SELECT FROM messages m WHERE m.generation = g.generation AND m.identity_id = i.identity_id AND m.drop_reason IS NULL
                    AND m.event_time >= s.start AND m.event_time < until
            ) OR EXISTS (
                SELECT FROM messages m WHERE m.generation = g.generation AND m.identity_id = i.identity_id AND m.drop_reason IS NOT NULL
                    AND m.event_time >= s.start AND m.event_time < until
            ))
        ORDER BY i.identity_id, g.generation
    LOOP
        WITH found AS MATERIALIZED (
            SELECT f.message_id, f.event_time, f.send_id FROM (
                (SELECT f.message_id, f.event_time, f.send_id FROM messages f
                WHERE f.generation = of_generation AND f.identity_id = own AND f.drop_reason IS NULL
                    AND f.event_time >= start AND f.event_time < until AND f.body IS NOT NULL
                    -- Another attempt needs the content.
                    AND NOT EXISTS (
                        SELECT FROM sends s WHERE s.workspace_id = of_workspace AND s.send_id = f.send_id
                            AND (s.status IN ('requested', 'held', 'released', 'dispatched') OR s.retry_at IS NOT NULL) OFFSET 0
                    )
                ORDER BY f.event_time LIMIT most - erased)
                UNION ALL
                (SELECT f.message_id, f.event_time, f.send_id FROM messages f
                WHERE f.generation = of_generation AND f.identity_id = own AND f.drop_reason IS NOT NULL
                    AND f.event_time >= start AND f.event_time < until AND f.body IS NOT NULL
                ORDER BY f.event_time LIMIT most - erased)
            ) AS f ORDER BY f.event_time LIMIT most - erased
        ), sent AS MATERIALIZED (
            SELECT s.send_id FROM found f JOIN sends s ON s.workspace_id = of_workspace AND s.send_id = f.send_id
            FOR UPDATE OF s SKIP LOCKED
        ), free AS MATERIALIZED (
            SELECT m.message_id FROM found f JOIN messages m ON m.generation = of_generation AND m.message_id = f.message_id
            WHERE f.send_id IS NULL OR f.send_id IN (SELECT send_id FROM sent)
            FOR UPDATE OF m SKIP LOCKED
        ), gone AS (
            UPDATE messages m SET body = NULL, erase_at = NULL FROM free f
            WHERE m.generation = of_generation AND m.message_id = f.message_id
        ), answers AS (
            UPDATE send_attempts a SET error_message = NULL FROM sent
            WHERE a.workspace_id = of_workspace AND a.send_id = sent.send_id AND a.error_message IS NOT NULL
        ), emptied AS (
            UPDATE sends s SET content = '{}' FROM sent WHERE s.workspace_id = of_workspace AND s.send_id = sent.send_id
        )
        SELECT count(free.message_id), min(found.event_time) FILTER (WHERE free.message_id IS NULL), max(found.event_time)
        INTO number, missed, latest FROM found LEFT JOIN free ON free.message_id = found.message_id;
        erased := erased + number;
        IF missed IS NOT NULL OR erased >= most THEN
            identity_id := own;
            generation := of_generation;
            event_time := coalesce(missed, latest);
            RETURN;
        END IF;
    END LOOP;
    identity_id := CASE WHEN seen = people THEN last + 1 ELSE 9223372036854775807 END;
    generation := 0;
    event_time := since;
END $$;
