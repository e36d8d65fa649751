SELECT c.channel, (
    SELECT s.value = 'false' FROM sluice.settings_in_effect s
    WHERE s.workspace_id = c.workspace_id AND s.channel_id = c.channel_id AND s.name = 'count' AND s.holds_from <= now()
    ORDER BY s.holds_from DESC LIMIT 1
) AS is_test
FROM sluice.channels c
WHERE c.workspace_id = $1 AND c.channel_id = $2
