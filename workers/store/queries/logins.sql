-- Logins of the embedded server.

-- name: password
ALTER ROLE CURRENT_USER PASSWORD '{password}'

-- name: reload
SELECT pg_reload_conf()
