-- What is configured.

-- `channel_id` is null for what belongs to the workspace. Where nothing was ever set the defaults hold.
CREATE VIEW sluice.settings_in_effect AS
SELECT workspace_id, nullif(channel_id, '') AS channel_id, name, value, holds_from FROM sluice_core.effective_settings
UNION ALL
SELECT w.workspace_id, NULL, d.name, d.value, '1970-01-01T00:00:00Z'::timestamptz
FROM sluice_core.workspaces w
CROSS JOIN (VALUES
    ('time_zone', '"UTC"'::jsonb), ('anchor_day', '1'), ('mac_block_effect', '"next_cycle"'), ('count_broadcasts', 'true'),
    ('count_reactions', 'true'), ('close_grace_hours', '72'), ('mac_limit', 'null'), ('default_region', 'null'),
    ('quarantine_days', '7'), ('hold_ttl_hours', '72'), ('claim_ttl_hours', '24'), ('message_retention_days', 'null'),
    ('merge_undo_hours', '24'), ('two_person_confirm', 'false')
) AS d (name, value)
WHERE NOT EXISTS (SELECT FROM sluice_core.effective_settings h WHERE h.workspace_id = w.workspace_id AND h.channel_id = '' AND h.name = d.name)
UNION ALL
SELECT c.workspace_id, c.channel_id, d.name, d.value, '1970-01-01T00:00:00Z'::timestamptz
FROM sluice_core.channels c
CROSS JOIN (VALUES ('name', 'null'::jsonb), ('default_region', 'null'), ('count', 'true')) AS d (name, value)
WHERE NOT EXISTS (
    SELECT FROM sluice_core.effective_settings h
    WHERE h.workspace_id = c.workspace_id AND h.channel_id = c.channel_id AND h.name = d.name
);

-- What is configured, as the workers hold it: the newest value, also one that holds from the next cycle on only. A
-- value of a wrong shape is shown as null, so that one value that this release cannot read does not hide the settings
-- of every workspace.
CREATE VIEW sluice.workspace_settings AS
SELECT
    s.workspace_id,
    max(s.words) FILTER (WHERE s.name = 'time_zone') AS time_zone,
    max(s.number) FILTER (WHERE s.name = 'anchor_day') AS anchor_day,
    max(s.words) FILTER (WHERE s.name = 'mac_block_effect') AS mac_block_effect,
    bool_or(s.yes) FILTER (WHERE s.name = 'count_broadcasts') AS count_broadcasts,
    bool_or(s.yes) FILTER (WHERE s.name = 'count_reactions') AS count_reactions,
    max(s.number) FILTER (WHERE s.name = 'close_grace_hours') AS close_grace_hours,
    max(s.large) FILTER (WHERE s.name = 'mac_limit') AS mac_limit,
    max(s.words) FILTER (WHERE s.name = 'default_region') AS default_region,
    max(s.number) FILTER (WHERE s.name = 'quarantine_days') AS quarantine_days,
    max(s.number) FILTER (WHERE s.name = 'hold_ttl_hours') AS hold_ttl_hours,
    max(s.number) FILTER (WHERE s.name = 'claim_ttl_hours') AS claim_ttl_hours,
    max(s.number) FILTER (WHERE s.name = 'message_retention_days') AS message_retention_days,
    max(s.number) FILTER (WHERE s.name = 'merge_undo_hours') AS merge_undo_hours,
    bool_or(s.yes) FILTER (WHERE s.name = 'two_person_confirm') AS two_person_confirm
FROM (
    -- `strict`: a list is no number.
    SELECT DISTINCT ON (workspace_id, name) workspace_id, name,
        CASE jsonb_typeof(value) WHEN 'string' THEN value #>> '{}' END AS words,
        CASE value WHEN 'true' THEN true WHEN 'false' THEN false END AS yes,
        jsonb_path_query_first(value, 'strict $ ? (@ >= 0 && @ <= 2147483647)')::integer AS number,
        jsonb_path_query_first(value, 'strict $ ? (@ >= 0 && @ <= 9007199254740991)')::bigint AS large
    FROM sluice.settings_in_effect
    WHERE channel_id IS NULL
    ORDER BY workspace_id, name, holds_from DESC
) AS s
GROUP BY s.workspace_id;

CREATE VIEW sluice.channels AS
SELECT
    c.workspace_id,
    c.channel_id,
    c.channel,
    max(s.words) FILTER (WHERE s.name = 'name') AS name,
    max(s.words) FILTER (WHERE s.name = 'default_region') AS default_region,
    bool_or(s.yes) FILTER (WHERE s.name = 'count') AS count
FROM sluice_core.channels c
LEFT JOIN (
    SELECT DISTINCT ON (workspace_id, channel_id, name) workspace_id, channel_id, name,
        CASE jsonb_typeof(value) WHEN 'string' THEN value #>> '{}' END AS words,
        CASE value WHEN 'true' THEN true WHEN 'false' THEN false END AS yes
    FROM sluice.settings_in_effect
    WHERE channel_id IS NOT NULL
    ORDER BY workspace_id, channel_id, name, holds_from DESC
) AS s ON s.workspace_id = c.workspace_id AND s.channel_id = c.channel_id
GROUP BY c.workspace_id, c.channel_id, c.channel;

-- `options` is null for all types but list.
CREATE VIEW sluice.field_definitions AS
SELECT workspace_id, scope, name, type, nullif(options, '{}') AS options FROM sluice_core.field_definitions;

CREATE VIEW sluice.tags AS
SELECT workspace_id, tag FROM sluice_core.tags;

GRANT SELECT ON sluice.settings_in_effect TO sluice_billing;
