-- name: has_role
SELECT pg_has_role(oid, 'USAGE') FROM pg_roles WHERE rolname = $1
