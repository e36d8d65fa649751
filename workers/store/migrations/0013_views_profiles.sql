-- What can be read about customers, and about what is configured.

CREATE VIEW sluice.profile_statuses AS
SELECT workspace_id, name, protected FROM sluice_core.profile_statuses;

CREATE VIEW sluice.companies AS
SELECT workspace_id, company_id, name, protected FROM sluice_core.companies;

CREATE VIEW sluice.profile_overview AS
SELECT
    p.workspace_id,
    p.profile_id,
    p.name,
    p.status,
    coalesce(c.company_ids, '{}') AS companies,
    coalesce(s.protected, false) OR coalesce(c.protected, false) AS protected,
    array_remove(
        ARRAY[CASE WHEN s.protected THEN 'status_protected' END, CASE WHEN c.protected THEN 'company_protected' END],
        NULL
    ) AS reasons,
    p.fields,
    '[]'::json AS notes,
    p.created_by,
    p.created_at
FROM sluice_core.profiles p
LEFT JOIN sluice_core.profile_statuses s ON s.workspace_id = p.workspace_id AND s.name = p.status
LEFT JOIN LATERAL (
    SELECT array_agg(b.company_id ORDER BY b.company_id) AS company_ids, bool_or(k.protected) AS protected
    FROM sluice_core.profile_companies b
    JOIN sluice_core.companies k ON k.workspace_id = b.workspace_id AND k.company_id = b.company_id
    WHERE b.workspace_id = p.workspace_id AND b.profile_id = p.profile_id
) c ON true;

-- The value issued last, of each setting. By-cycle settings are shown as asked for, also while an older value still holds.
CREATE VIEW sluice.workspace_settings AS
SELECT
    w.workspace_id,
    coalesce(max(s.value) FILTER (WHERE s.name = 'time_zone'), 'UTC') AS time_zone,
    coalesce(max(s.value) FILTER (WHERE s.name = 'anchor_day'), '1')::integer AS anchor_day,
    coalesce(max(s.value) FILTER (WHERE s.name = 'mac_block_effect'), 'next_cycle') AS mac_block_effect,
    coalesce(max(s.value) FILTER (WHERE s.name = 'count_broadcasts'), 'true')::boolean AS count_broadcasts,
    coalesce(max(s.value) FILTER (WHERE s.name = 'count_reactions'), 'true')::boolean AS count_reactions,
    coalesce(max(s.value) FILTER (WHERE s.name = 'close_grace_hours'), '72')::integer AS close_grace_hours,
    (max(s.value) FILTER (WHERE s.name = 'mac_limit'))::bigint AS mac_limit,
    max(s.value) FILTER (WHERE s.name = 'default_region') AS default_region,
    coalesce(max(s.value) FILTER (WHERE s.name = 'quarantine_days'), '7')::integer AS quarantine_days,
    coalesce(max(s.value) FILTER (WHERE s.name = 'hold_ttl_hours'), '72')::integer AS hold_ttl_hours,
    coalesce(max(s.value) FILTER (WHERE s.name = 'merge_undo_hours'), '24')::integer AS merge_undo_hours,
    coalesce(max(s.value) FILTER (WHERE s.name = 'two_person_confirm'), 'false')::boolean AS two_person_confirm
FROM sluice_core.workspaces w
LEFT JOIN (
    SELECT DISTINCT ON (workspace_id, name) workspace_id, name, value #>> '{}' AS value
    FROM sluice_core.settings_log
    WHERE channel_id = ''
    ORDER BY workspace_id, name, issued_at DESC, command_id DESC
) s ON s.workspace_id = w.workspace_id
GROUP BY w.workspace_id;

CREATE VIEW sluice.channels AS
SELECT
    c.workspace_id,
    c.channel_id,
    c.channel,
    max(s.value) FILTER (WHERE s.name = 'name') AS name,
    max(s.value) FILTER (WHERE s.name = 'default_region') AS default_region,
    coalesce(max(s.value) FILTER (WHERE s.name = 'count'), 'true')::boolean AS count
FROM sluice_core.channels c
LEFT JOIN (
    SELECT DISTINCT ON (workspace_id, channel_id, name) workspace_id, channel_id, name, value #>> '{}' AS value
    FROM sluice_core.settings_log
    WHERE channel_id <> ''
    ORDER BY workspace_id, channel_id, name, issued_at DESC, command_id DESC
) s ON s.workspace_id = c.workspace_id AND s.channel_id = c.channel_id
GROUP BY c.workspace_id, c.channel_id, c.channel;

CREATE VIEW sluice.audit_log AS
SELECT workspace_id, applied_at AS at, actor_id AS actor, command, target, outcome, reason
FROM sluice_core.commands;

-- Two contacts are suggested for merging if a number in E.164 or an e-mail address is on both: typed into a field, or theirs
-- on whatsapp, sms or email. Who is blocked is in no suggestion.
CREATE VIEW sluice.merge_suggestions AS
WITH reachable AS (
    SELECT workspace_id, contact_id, 'phone' AS field, phone AS value
    FROM sluice_core.contacts
    WHERE phone IS NOT NULL AND blocked_at IS NULL
    UNION ALL
    SELECT workspace_id, contact_id, 'email', lower(email)
    FROM sluice_core.contacts
    WHERE email IS NOT NULL AND blocked_at IS NULL
    UNION ALL
    SELECT i.workspace_id, i.contact_id, CASE i.channel WHEN 'email' THEN 'email' ELSE 'phone' END, i.lookup
    FROM sluice_core.identities i
    JOIN sluice_core.contacts c ON c.workspace_id = i.workspace_id AND c.contact_id = i.contact_id
    WHERE i.channel IN ('whatsapp', 'sms', 'email') AND c.blocked_at IS NULL
)
SELECT workspace_id, array_agg(DISTINCT contact_id ORDER BY contact_id) AS contact_ids, field, value
FROM reachable
WHERE (field = 'phone' AND value ~ '^\+[1-9][0-9]{6,14}$') OR (field = 'email' AND value LIKE '_%@_%')
GROUP BY workspace_id, field, value
HAVING count(DISTINCT contact_id) > 1;
