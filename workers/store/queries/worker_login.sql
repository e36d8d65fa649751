-- The workers' login. Its name contains the database's name, because logins belong to the whole server.

-- name: known
SELECT rolname FROM pg_roles WHERE rolname = $1

-- name: name
SELECT left('sluice_app_' || current_database(), 63)

-- name: making
SELECT format('CREATE ROLE %I LOGIN PASSWORD %L IN ROLE sluice_worker', $1::text, $2::text)

-- name: mending
SELECT format('ALTER ROLE %1$I LOGIN PASSWORD %2$L; GRANT sluice_worker TO %1$I', $1::text, $2::text)
