-- name: still
SELECT s.session_hash AS secret_hash, u.workspaces, u.is_operator
FROM sluice_console.sessions AS s JOIN sluice_console.users AS u USING (user_id)
WHERE s.session_hash = ANY ($1::bytea[]) AND s.expires_at > now() AND u.disabled_at IS NULL
UNION ALL
SELECT t.token_hash, t.workspaces, t.is_operator
FROM sluice_console.tokens AS t
WHERE t.token_hash = ANY ($1::bytea[]) AND t.revoked_at IS NULL
