-- Two contacts are suggested for merging if a number in E.164 or an e-mail address is on both: typed into a field, or
-- theirs on whatsapp, sms or email. Who is blocked is in no suggestion.

-- What contacts can be reached by, one row for each value.
CREATE VIEW sluice_core.reached_by AS
SELECT workspace_id, contact_id, 'phone' AS field, phone AS value FROM sluice.contact_overview WHERE phone IS NOT NULL
UNION ALL
SELECT workspace_id, contact_id, 'email', lower(email) FROM sluice.contact_overview WHERE email IS NOT NULL
UNION ALL
SELECT workspace_id, contact_id, CASE channel WHEN 'email' THEN 'email' ELSE 'phone' END, lookup
FROM sluice_core.identities
WHERE channel IN ('whatsapp', 'sms', 'email') AND removed_at IS NULL;

-- The first `n` contacts that have a value, by id. It reads no more of them than that, however many there are; of blocked
-- ones, which it leaves out unless asked for, it reads those that come before. Small tables are not read as a whole either:
-- a session keeps the plan when they have grown.
CREATE FUNCTION sluice_core.sharers(of_workspace text, of_field text, of_value text, n integer, with_blocked boolean)
RETURNS TABLE (contact_id uuid)
LANGUAGE plpgsql STABLE SECURITY DEFINER SET search_path = sluice_core, pg_temp
    SET plan_cache_mode = force_generic_plan SET enable_seqscan = off AS $$
#variable_conflict use_column
BEGIN
    IF of_field = 'phone' AND understood('sms', of_value) THEN
        RETURN QUERY
        SELECT f.contact_id FROM (
            (
                SELECT o.contact_id FROM sluice.contact_overview o
                WHERE o.workspace_id = of_workspace AND o.phone = of_value AND (with_blocked OR NOT o.blocked)
                ORDER BY o.contact_id LIMIT n
            )
            UNION
            SELECT o.contact_id FROM identities i
            CROSS JOIN LATERAL (
                SELECT o.contact_id FROM sluice.contact_overview o
                WHERE o.workspace_id = of_workspace AND o.contact_id = i.contact_id AND (with_blocked OR NOT o.blocked) LIMIT 1
            ) AS o
            WHERE i.lookup = of_value AND i.scope = '' AND i.channel IN ('whatsapp', 'sms') AND i.workspace_id = of_workspace
                AND i.ended_at IS NULL AND i.removed_at IS NULL
        ) AS f
        ORDER BY f.contact_id LIMIT n;
    ELSIF of_field = 'email' AND understood('email', of_value) THEN
        RETURN QUERY
        SELECT f.contact_id FROM (
            (
                SELECT o.contact_id FROM sluice.contact_overview o
                WHERE o.workspace_id = of_workspace AND lower(o.email) = of_value AND (with_blocked OR NOT o.blocked)
                ORDER BY o.contact_id LIMIT n
            )
            UNION
            SELECT o.contact_id FROM identities i
            CROSS JOIN LATERAL (
                SELECT o.contact_id FROM sluice.contact_overview o
                WHERE o.workspace_id = of_workspace AND o.contact_id = i.contact_id AND (with_blocked OR NOT o.blocked) LIMIT 1
            ) AS o
            WHERE i.lookup = of_value AND i.scope = '' AND i.channel = 'email' AND i.workspace_id = of_workspace
                AND i.ended_at IS NULL AND i.removed_at IS NULL
        ) AS f
        ORDER BY f.contact_id LIMIT n;
    END IF;
END $$;

-- `shared_values` has what contacts had when they were published last. Values that are new since are read from the contacts
-- that wait to be published, for each workspace from the 200 that are next. Of very many contacts with one value the
-- view shows the first 100.
CREATE VIEW sluice.merge_suggestions AS
SELECT v.workspace_id, s.contact_ids, v.field, v.value
FROM (
    SELECT workspace_id, field, value FROM sluice_core.shared_values
    UNION ALL
    SELECT DISTINCT w.workspace_id, r.field, r.value
    FROM sluice_core.workspaces w
    CROSS JOIN LATERAL (
        SELECT u.contact_id FROM sluice_core.unpublished_contacts u
        WHERE u.workspace_id = w.workspace_id ORDER BY u.contact_id LIMIT 200
    ) AS u
    CROSS JOIN LATERAL (
        SELECT r.field, r.value FROM sluice_core.reached_by r
        WHERE r.workspace_id = w.workspace_id AND r.contact_id = u.contact_id OFFSET 0
    ) AS r
    LEFT JOIN sluice_core.contact_index x ON x.workspace_id = w.workspace_id AND x.contact_id = u.contact_id
    WHERE (x.contact_id IS NULL OR r.value <> ALL (x.phones || x.emails)) AND NOT EXISTS (
        SELECT FROM sluice_core.shared_values k
        WHERE k.workspace_id = w.workspace_id AND k.field = r.field AND k.value = r.value
    )
) AS v
CROSS JOIN LATERAL (
    SELECT array_agg(c.contact_id ORDER BY c.contact_id) AS contact_ids
    FROM sluice_core.sharers(v.workspace_id, v.field, v.value, 100, false) AS c
) AS s
WHERE cardinality(s.contact_ids) > 1;

-- The contacts that share a value with this one, the first 100 of each value; none if it is blocked.
CREATE FUNCTION sluice.suggestions_of(of_workspace text, of_contact uuid)
RETURNS TABLE (contact_id uuid, field text, value text)
LANGUAGE sql STABLE SECURITY DEFINER SET search_path = sluice_core, pg_temp AS $$
    SELECT s.contact_id, r.field, r.value
    FROM (
        SELECT DISTINCT r.field, r.value FROM reached_by r
        WHERE r.workspace_id = of_workspace AND r.contact_id = present(of_workspace, of_contact)
    ) AS r
    CROSS JOIN LATERAL sharers(of_workspace, r.field, r.value, 101, false) AS s
    WHERE s.contact_id <> present(of_workspace, of_contact) AND EXISTS (
        SELECT FROM sluice.contact_list l WHERE l.workspace_id = of_workspace AND l.contact_id = present(of_workspace, of_contact)
    )
    ORDER BY r.field, r.value, s.contact_id
$$;
REVOKE ALL ON FUNCTION sluice.suggestions_of(text, uuid) FROM PUBLIC;
GRANT EXECUTE ON FUNCTION sluice.suggestions_of(text, uuid) TO sluice_worker, sluice_reader;
