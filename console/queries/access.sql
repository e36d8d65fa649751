-- name: of_session
SELECT u.name, u.role, u.workspaces, u.restrictions, u.is_operator
FROM sluice_console.sessions AS s JOIN sluice_console.users AS u USING (user_id)
WHERE s.session_hash = $1 AND s.expires_at > now() AND u.disabled_at IS NULL

-- name: of_token
SELECT t.name, t.role, t.workspaces, t.restrictions, t.is_operator
FROM sluice_console.tokens AS t
WHERE t.token_hash = $1 AND t.revoked_at IS NULL

-- name: of_name
SELECT u.name, u.role, u.workspaces, u.restrictions, u.is_operator
FROM sluice_console.users AS u
WHERE u.name = $1 AND u.disabled_at IS NULL

-- name: password
SELECT u.user_id, u.password_hash
FROM sluice_console.users AS u
WHERE u.name = $1 AND u.disabled_at IS NULL

-- name: begin_session
INSERT INTO sluice_console.sessions (session_hash, user_id, expires_at) VALUES ($1, $2, now() + $3::interval)

-- name: end_session
DELETE FROM sluice_console.sessions WHERE session_hash = $1

-- name: use_link
DELETE FROM sluice_console.login_links AS l
USING sluice_console.users AS u
WHERE l.link_hash = $1 AND l.expires_at > now() AND u.user_id = l.user_id AND u.disabled_at IS NULL
RETURNING u.user_id

-- name: make_link
INSERT INTO sluice_console.login_links (link_hash, user_id, expires_at)
SELECT $1, u.user_id, now() + $3::interval FROM sluice_console.users AS u
WHERE u.name = $2 AND u.disabled_at IS NULL
RETURNING user_id

-- name: keep_user
INSERT INTO sluice_console.users (name, role, restrictions, workspaces, is_operator, password_hash)
VALUES ($1, $2, $3, $4, $5, $6)
ON CONFLICT (name) DO UPDATE SET role = excluded.role, restrictions = excluded.restrictions,
    workspaces = excluded.workspaces, is_operator = excluded.is_operator,
    password_hash = coalesce(excluded.password_hash, users.password_hash), disabled_at = NULL

-- name: add_token
INSERT INTO sluice_console.tokens (token_hash, name, role, restrictions, workspaces, is_operator)
VALUES ($1, $2, $3, $4, $5, $6)
ON CONFLICT (name) WHERE revoked_at IS NULL DO NOTHING
RETURNING token_id
