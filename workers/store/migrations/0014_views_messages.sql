-- The conversation and the profile's timeline. A send shows from its dispatch on: as its message once the provider has
-- accepted it, before that by its id alone.

CREATE VIEW sluice.conversation_messages AS
SELECT m.workspace_id, i.contact_id, c.conversation_id, m.message_id,
    CASE WHEN m.kind IN ('echo', 'send', 'broadcast') THEN 'out' ELSE 'in' END AS direction,
    m.channel, m.channel_id, m.event_time,
    CASE WHEN m.send_id IS NULL THEN m.body -> 'content' ELSE s.content END AS content,
    CASE WHEN m.send_id IS NULL THEN CASE WHEN m.kind = 'echo' THEN 'sent' ELSE 'received' END ELSE s.status END AS status,
    m.kind = 'echo' AND m.block_start IS NOT NULL AS bypassed_block
FROM sluice_core.messages m
JOIN sluice_core.identities i ON i.workspace_id = m.workspace_id AND i.identity_id = m.identity_id
JOIN sluice_core.contacts c ON c.workspace_id = i.workspace_id AND c.contact_id = i.contact_id
LEFT JOIN sluice_core.sends s ON s.workspace_id = m.workspace_id AND s.send_id = m.send_id
WHERE m.drop_reason IS NULL
UNION ALL
SELECT s.workspace_id, s.contact_id, c.conversation_id, s.message_id, 'out', s.channel, s.channel_id, a.dispatched_at,
    s.content, s.status, false
FROM sluice_core.sends s
JOIN sluice_core.contacts c ON c.workspace_id = s.workspace_id AND c.contact_id = s.contact_id
JOIN sluice_core.send_attempts a ON a.workspace_id = s.workspace_id AND a.send_id = s.send_id AND a.attempt = 1
WHERE s.accepted_at IS NULL AND s.attempt > 0;

CREATE VIEW sluice.profile_moments AS
SELECT c.workspace_id, c.profile_id, m.contact_id, m.message_id, m.direction, m.channel, m.event_time, m.content,
    m.content -> 'attachments' AS attachments
FROM sluice_core.contacts c
JOIN sluice.conversation_messages m ON m.workspace_id = c.workspace_id AND m.contact_id = c.contact_id
WHERE c.profile_id IS NOT NULL;
