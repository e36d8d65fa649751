-- Logins that `sluice migrate` creates. Their names contain the database's name, because logins belong to the whole server.

-- name: known
SELECT rolname FROM pg_roles WHERE rolname = $1

-- name: name
SELECT left($1 || current_database(), 63)

-- name: making
SELECT format('CREATE ROLE %I LOGIN PASSWORD %L IN ROLE %I', $1::text, $2::text, $3::text)

-- name: mending
SELECT format('ALTER ROLE %1$I LOGIN PASSWORD %2$L; GRANT %3$I TO %1$I', $1::text, $2::text, $3::text)
