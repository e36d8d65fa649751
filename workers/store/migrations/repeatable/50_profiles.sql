-- Customers, and what protects them.

CREATE VIEW sluice.profile_statuses AS
SELECT workspace_id, name, protected FROM sluice_core.profile_statuses;

CREATE VIEW sluice.companies AS
SELECT workspace_id, company_id, name, protected FROM sluice_core.companies;

-- What protects a profile: its status, its companies, and whatever of them cannot be found. `since` is when it began.
CREATE VIEW sluice_core.profile_protections AS
SELECT p.workspace_id, p.profile_id,
    CASE WHEN s.protected THEN 'status_protected' ELSE 'protection_unknown' END AS code,
    CASE WHEN s.protected THEN 'status_protected:' || p.status ELSE 'protection_unknown' END AS key,
    CASE WHEN s.protected THEN greatest(s.protected_since, p.status_at) END AS since
FROM sluice_core.profiles p
LEFT JOIN sluice_core.profile_statuses s ON s.workspace_id = p.workspace_id AND s.name = p.status
WHERE p.status IS NOT NULL AND s.protected IS NOT FALSE
UNION ALL
SELECT m.workspace_id, m.profile_id,
    CASE WHEN o.protected THEN 'company_protected' ELSE 'protection_unknown' END,
    CASE WHEN o.protected THEN 'company_protected:' || m.company_id ELSE 'protection_unknown' END,
    CASE WHEN o.protected THEN greatest(o.protected_since, m.since) END
FROM sluice_core.profile_companies m
LEFT JOIN sluice_core.companies o ON o.workspace_id = m.workspace_id AND o.company_id = m.company_id
WHERE o.protected IS NOT FALSE;

-- The grounds to hold a send to a contact; `since` is when each began for this contact. A profile, status or company
-- that cannot be found is a ground as well: failing to find out holds.
CREATE VIEW sluice_core.protections AS
SELECT c.workspace_id, c.contact_id, 'protection_unknown' AS code, 'protection_unknown' AS key, NULL::timestamptz AS since
FROM sluice_core.contacts c
LEFT JOIN sluice_core.profiles p ON p.workspace_id = c.workspace_id AND p.profile_id = c.profile_id
WHERE c.profile_id IS NOT NULL AND p.profile_id IS NULL
UNION ALL
SELECT c.workspace_id, c.contact_id, g.code, g.key, CASE WHEN g.since IS NOT NULL THEN greatest(g.since, c.profile_at) END
FROM sluice_core.contacts c
CROSS JOIN LATERAL (
    SELECT g.code, g.key, g.since FROM sluice_core.profile_protections g
    WHERE g.workspace_id = c.workspace_id AND g.profile_id = c.profile_id OFFSET 0
) AS g;

CREATE VIEW sluice.profile_overview AS
SELECT
    p.workspace_id,
    p.profile_id,
    p.name,
    p.status,
    coalesce(c.company_ids, '{}') AS companies,
    coalesce(g.protected, false) AS protected,
    coalesce(g.reasons, '{}') AS reasons,
    p.fields,
    coalesce(n.notes, '[]') AS notes,
    p.created_by,
    p.created_at
FROM sluice_core.profiles p
LEFT JOIN LATERAL (
    SELECT array_agg(b.company_id ORDER BY b.company_id) AS company_ids
    FROM sluice_core.profile_companies b
    JOIN sluice_core.companies k ON k.workspace_id = b.workspace_id AND k.company_id = b.company_id
    WHERE b.workspace_id = p.workspace_id AND b.profile_id = p.profile_id
) c ON true
LEFT JOIN LATERAL (
    SELECT array_agg(DISTINCT g.code ORDER BY g.code DESC) AS reasons, bool_or(g.code <> 'protection_unknown') AS protected
    FROM sluice_core.profile_protections g
    WHERE g.workspace_id = p.workspace_id AND g.profile_id = p.profile_id
) g ON true
LEFT JOIN LATERAL (
    SELECT json_agg(
        json_build_object(
            'note_id', n.note_id, 'text', n.text, 'created_by', n.created_by, 'created_at', n.created_at,
            'edited_by', n.edited_by, 'edited_at', n.edited_at
        ) ORDER BY n.created_at, n.note_id
    ) AS notes
    FROM sluice_core.profile_notes n
    WHERE n.workspace_id = p.workspace_id AND n.profile_id = p.profile_id AND n.deleted_at IS NULL
) n ON true
WHERE p.deleted_at IS NULL;
