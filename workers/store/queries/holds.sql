-- Holds, and answers to many holds that run in steps.

-- name: lock_groups
SELECT pg_advisory_xact_lock(key) FROM (
    SELECT DISTINCT hashtextextended('sluice.holds ' || workspace_id || ' ' || group_id, 0) AS key
    FROM unnest($1::text[], $2::text[]) AS wanted (workspace_id, group_id) ORDER BY key
) AS groups

-- name: measure_groups
-- For groups with sends: how many wait for an answer, and the bytes of their content; reads at most $3 of each.
SELECT wanted.workspace_id, wanted.group_id, weight.holds, weight.bytes
FROM unnest($1::text[], $2::text[]) AS wanted (workspace_id, group_id)
CROSS JOIN LATERAL (
    SELECT count(*) AS holds, coalesce(sum(octet_length(h.content::text)), 0)::bigint AS bytes FROM (
        SELECT h.content FROM holds h
        WHERE h.workspace_id = wanted.workspace_id AND h.group_id = wanted.group_id AND h.answered_by IS NULL LIMIT $3
    ) AS h
) AS weight
WHERE EXISTS (SELECT FROM sends s WHERE s.workspace_id = wanted.workspace_id AND s.group_id = wanted.group_id)

-- name: of_groups
SELECT h.workspace_id, h.group_id, h.send_id, h.contact_id, h.owner_id
FROM unnest($1::text[], $2::text[]) AS wanted (workspace_id, group_id)
JOIN holds h USING (workspace_id, group_id)
WHERE h.answered_by IS NULL
ORDER BY h.workspace_id, h.group_id, h.requested_at, h.send_id

-- name: people_of
SELECT h.workspace_id, h.contact_id, h.owner_id
FROM unnest($1::text[], $2::uuid[]) AS wanted (workspace_id, send_id)
JOIN holds h USING (workspace_id, send_id)

-- name: answers
-- The holds among these that are already answered, with the answer.
SELECT w.workspace_id, w.kind, w.subject, w.command_id, w.details, w.cursor, w.done, w.total, w.number, array_agg(h.send_id) AS send_ids
FROM unnest($1::text[], $2::uuid[]) AS wanted (workspace_id, send_id)
JOIN holds h USING (workspace_id, send_id)
JOIN pending_work w ON w.workspace_id = h.workspace_id AND w.number = h.answered_by
GROUP BY w.workspace_id, w.kind, w.subject, w.command_id

-- name: confirmation_outcomes
-- The result of a group's confirmation at $3, by outcome; requests of $4 wait for another user. CASE hides a condition that PostgreSQL
-- would take for true of one hold in two hundred.
WITH asked AS MATERIALIZED (
    SELECT p.*, coalesce(p.requested_by = $4, false) AS waits FROM confirmation_cases p
    WHERE p.workspace_id = $1 AND p.group_id = $2 AND p.held_at < $3 AND p.expires_at > $3
        AND CASE WHEN p.answered_by IS NULL THEN true END
), people AS (
    SELECT send_id, profile_id, profile_at, reason_keys || confirmed_keys AS known_keys, confirmed_before FROM asked
    WHERE NOT waits AND NOT refused AND profile_id IS NOT NULL
    UNION ALL
    SELECT send_id, owner_profile_id, owner_profile_at, reason_keys || confirmed_keys, confirmed_before FROM asked
    WHERE NOT waits AND NOT refused AND owner_profile_id IS NOT NULL
), held AS (
    SELECT people.send_id FROM people
    JOIN profile_protections p ON p.workspace_id = $1 AND p.profile_id = people.profile_id
    WHERE p.key <> ALL (people.known_keys)
        AND NOT coalesce(CASE WHEN p.since IS NOT NULL THEN greatest(p.since, people.profile_at) END < people.confirmed_before, false)
    UNION
    SELECT people.send_id FROM people
    WHERE 'protection_unknown' <> ALL (people.known_keys)
        AND NOT EXISTS (SELECT FROM profiles p WHERE p.workspace_id = $1 AND p.profile_id = people.profile_id)
), counted AS (
    SELECT count(*) AS all_of_it, count(*) FILTER (WHERE waits) AS waits, count(*) FILTER (WHERE refused AND NOT waits) AS refused,
        (SELECT count(*) FROM held) AS held
    FROM asked
)
SELECT each.outcome, each.sends FROM counted CROSS JOIN LATERAL (
    VALUES ('refused', refused), ('held', waits + held), ('released', all_of_it - waits - refused - held)
) AS each (outcome, sends)
WHERE each.sends > 0

-- name: count_group
SELECT count(*) FROM holds h
WHERE h.workspace_id = $1 AND h.group_id = $2 AND h.answered_by IS NULL AND h.held_at < $3 AND h.expires_at > $3

-- name: of_contacts
-- Holds that wait for an answer, were requested before a time, and go to these contacts or to an address of theirs: how many, and
-- their keys if they are at most $4.
SELECT wanted.workspace_id, wanted.contact_id, found.holds, found.send_ids
FROM unnest($1::text[], $2::uuid[], $3::timestamptz[]) AS wanted (workspace_id, contact_id, until)
CROSS JOIN LATERAL (
    SELECT count(*) AS holds, CASE WHEN count(*) <= $4 THEN array_agg(h.send_id) END AS send_ids FROM (
        SELECT h.send_id FROM holds h
        WHERE h.workspace_id = wanted.workspace_id AND h.contact_id = wanted.contact_id
            AND h.requested_at < wanted.until AND h.answered_by IS NULL
        UNION ALL
        SELECT h.send_id FROM identities i
        JOIN holds h USING (workspace_id, channel, scope, lookup)
        WHERE i.workspace_id = wanted.workspace_id AND i.contact_id = wanted.contact_id AND i.ended_at IS NULL
            AND h.contact_id IS DISTINCT FROM wanted.contact_id
            AND h.requested_at < wanted.until AND h.answered_by IS NULL
    ) AS h
) AS found
WHERE found.holds > 0
ORDER BY wanted.workspace_id, wanted.contact_id

-- name: of_runs
-- Each run is asked for as a range, which PostgreSQL takes for a small one: where nearly all sends have one run, it would look for the
-- few of any other among all sends.
SELECT wanted.workspace_id, wanted.run_id, found.holds, found.send_ids
FROM unnest($1::text[], $2::text[]) AS wanted (workspace_id, run_id)
CROSS JOIN LATERAL (
    SELECT count(*) AS holds, CASE WHEN count(*) <= $3 THEN array_agg(h.send_id) END AS send_ids FROM holds h
    WHERE h.workspace_id = wanted.workspace_id AND h.run_id >= wanted.run_id AND h.run_id <= wanted.run_id AND h.answered_by IS NULL
) AS found
WHERE found.holds > 0
ORDER BY wanted.workspace_id, wanted.run_id

-- name: next_of_group
-- The next holds that the pending work ends, up to $5 of them and $6 bytes of content, but at least one.
SELECT send_id, contact_id, owner_id FROM (
    SELECT h.send_id, h.contact_id, h.owner_id, h.bytes, sum(h.bytes) OVER (ORDER BY h.send_id) AS so_far FROM (
        SELECT h.send_id, h.contact_id, h.owner_id, octet_length(h.content::text) AS bytes FROM holds h
        WHERE h.workspace_id = $1 AND h.group_id = $2 AND h.send_id > $4 AND h.answered_by = $3
        ORDER BY h.send_id LIMIT $5
    ) AS h
) AS h
WHERE so_far <= $6 OR so_far = bytes
ORDER BY send_id

-- name: next_of_contact
SELECT DISTINCT ON (send_id) send_id, contact_id, owner_id FROM (
    (
        SELECT h.send_id, h.contact_id, h.owner_id FROM holds h
        WHERE h.workspace_id = $1 AND h.contact_id = $2 AND h.send_id > $4 AND h.answered_by = $3
        ORDER BY h.send_id LIMIT $5
    )
    UNION ALL
    SELECT h.send_id, h.contact_id, h.owner_id FROM identities i
    CROSS JOIN LATERAL (
        SELECT h.send_id, h.contact_id, h.owner_id FROM holds h
        WHERE h.workspace_id = i.workspace_id AND h.channel = i.channel AND h.scope = i.scope AND h.lookup = i.lookup
            AND h.send_id > $4 AND h.answered_by = $3
        ORDER BY h.send_id LIMIT $5
    ) AS h
    WHERE i.workspace_id = $1 AND i.contact_id = $2 AND i.ended_at IS NULL
) AS h
ORDER BY send_id LIMIT $5

-- name: next_of_run
SELECT h.send_id, h.contact_id, h.owner_id FROM holds h
WHERE h.workspace_id = $1 AND h.run_id = $2 AND h.send_id > $4 AND h.answered_by = $3
ORDER BY h.send_id LIMIT $5
