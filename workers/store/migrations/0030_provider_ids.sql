-- One provider's id belongs to one attempt. Of several the earliest keeps it.
UPDATE sluice_core.send_attempts a SET provider_message_id = NULL
FROM (
    SELECT workspace_id, send_id, attempt, row_number() OVER (
        PARTITION BY workspace_id, channel_id, provider_message_id ORDER BY dispatched_at, send_id, attempt
    ) AS number
    FROM sluice_core.send_attempts WHERE provider_message_id IS NOT NULL
) AS named
WHERE a.workspace_id = named.workspace_id AND a.send_id = named.send_id AND a.attempt = named.attempt AND named.number > 1;

DROP INDEX sluice_core.send_attempts_provider;
CREATE UNIQUE INDEX send_attempts_provider ON sluice_core.send_attempts (workspace_id, channel_id, provider_message_id)
    WHERE provider_message_id IS NOT NULL;
