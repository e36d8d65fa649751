-- name: of_session
SELECT u.name, u.role, u.workspaces, u.restrictions, u.is_operator
FROM sluice_console.sessions AS s JOIN sluice_console.users AS u USING (user_id)
WHERE s.session_hash = $1 AND s.expires_at > now() AND u.disabled_at IS NULL

-- name: of_token
SELECT t.name, t.role, t.workspaces, t.restrictions, t.is_operator
FROM sluice_console.tokens AS t
WHERE t.token_hash = $1 AND t.revoked_at IS NULL

-- name: of_name
SELECT u.user_id, u.name, u.role, u.workspaces, u.restrictions, u.is_operator
FROM sluice_console.users AS u
WHERE u.name = $1 AND u.disabled_at IS NULL

-- name: password
SELECT u.user_id, u.password_hash
FROM sluice_console.users AS u
WHERE u.name = $1 AND u.disabled_at IS NULL

-- name: begin_session
WITH oldest AS (
    DELETE FROM sluice_console.sessions AS s USING (
        SELECT session_hash FROM sluice_console.sessions WHERE user_id = $2 ORDER BY created_at DESC OFFSET 49
    ) AS o
    WHERE s.session_hash = o.session_hash
)
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
INSERT INTO sluice_console.users (name, role, restrictions, workspaces, is_operator) VALUES ($1, $2, $3, $4, $5)
ON CONFLICT (name) DO UPDATE SET role = excluded.role, restrictions = excluded.restrictions,
    workspaces = excluded.workspaces, is_operator = excluded.is_operator, disabled_at = NULL

-- name: add_user
INSERT INTO sluice_console.users AS u (name, role, restrictions, workspaces, is_operator, password_hash)
VALUES ($1, $2, $3, $4, $5, $6)
ON CONFLICT (name) DO UPDATE SET role = excluded.role, restrictions = excluded.restrictions,
    workspaces = excluded.workspaces, is_operator = excluded.is_operator, password_hash = excluded.password_hash,
    disabled_at = NULL
WHERE u.disabled_at IS NOT NULL
RETURNING u.user_id

-- name: users
SELECT name, role, restrictions, workspaces, is_operator, password_hash IS NOT NULL AS has_password, created_at, disabled_at
FROM sluice_console.users ORDER BY name

-- name: disable
WITH disabled AS (
    UPDATE sluice_console.users SET disabled_at = now() WHERE name = $1 AND disabled_at IS NULL RETURNING user_id
), links AS (DELETE FROM sluice_console.login_links AS l USING disabled AS d WHERE l.user_id = d.user_id),
sessions AS (DELETE FROM sluice_console.sessions AS s USING disabled AS d WHERE s.user_id = d.user_id)
SELECT user_id FROM disabled

-- name: set_password
WITH changed AS (
    UPDATE sluice_console.users SET password_hash = $2 WHERE name = $1 AND disabled_at IS NULL RETURNING user_id
), links AS (DELETE FROM sluice_console.login_links AS l USING changed AS c WHERE l.user_id = c.user_id),
sessions AS (DELETE FROM sluice_console.sessions AS s USING changed AS c WHERE s.user_id = c.user_id)
SELECT user_id FROM changed

-- name: add_token
INSERT INTO sluice_console.tokens (name, role, restrictions, workspaces, is_operator, token_hash)
VALUES ($1, $2, $3, $4, $5, $6)
ON CONFLICT (name) WHERE revoked_at IS NULL DO NOTHING
RETURNING token_id

-- name: tokens
SELECT name, role, restrictions, workspaces, is_operator, created_at, revoked_at
FROM sluice_console.tokens ORDER BY name, created_at

-- name: revoke
UPDATE sluice_console.tokens SET revoked_at = now() WHERE name = $1 AND revoked_at IS NULL RETURNING token_id

-- name: count_login
INSERT INTO sluice_console.failed_logins AS f (subject, failures, last_at) VALUES ($1, 1, now())
ON CONFLICT (subject) DO UPDATE SET last_at = now(),
    failures = CASE WHEN f.last_at < now() - interval '1 day' THEN 1 ELSE f.failures + 1 END
WHERE f.last_at + coalesce(($2::interval[])[least(f.failures, cardinality($2::interval[]))], interval '0') <= now()
RETURNING f.failures

-- name: wait_of_login
SELECT extract(epoch FROM f.last_at + ($2::interval[])[least(f.failures, cardinality($2::interval[]))] - now())::float8
FROM sluice_console.failed_logins AS f WHERE f.subject = $1

-- name: forgive
WITH name AS (DELETE FROM sluice_console.failed_logins WHERE subject = $1)
UPDATE sluice_console.failed_logins SET failures = greatest(failures - 1, 0) WHERE subject = $2

-- name: clean
WITH sessions AS (DELETE FROM sluice_console.sessions WHERE expires_at < now()),
links AS (DELETE FROM sluice_console.login_links WHERE expires_at < now()),
over AS (SELECT subject FROM sluice_console.failed_logins ORDER BY last_at DESC OFFSET 100000)
DELETE FROM sluice_console.failed_logins AS f
WHERE f.last_at < now() - interval '1 day' OR f.subject IN (SELECT subject FROM over)

-- name: unknown_workspaces
SELECT w AS workspace_id FROM unnest($1::text[]) AS w
WHERE NOT EXISTS (SELECT FROM sluice.settings_in_effect AS s WHERE s.workspace_id = w) ORDER BY w
