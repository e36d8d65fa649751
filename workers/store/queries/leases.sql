-- Leases of timed jobs and publishers; time is the database's.

-- name: take
INSERT INTO leases AS l (name, token, owner, expires_at, owner_version, owner_since)
VALUES (
    $1, $2, $3, clock_timestamp() + make_interval(secs => $4), $6, clock_timestamp() - make_interval(secs => $7)
)
ON CONFLICT (name) DO UPDATE SET
    token = excluded.token, owner = excluded.owner, expires_at = excluded.expires_at,
    owner_version = excluded.owner_version, owner_since = excluded.owner_since
WHERE l.token = excluded.token OR l.expires_at < clock_timestamp()
RETURNING coalesce(extract(epoch FROM last_run_at - clock_timestamp()) + $5::float8, 0)::float8 AS due_in

-- name: renew
UPDATE leases SET expires_at = clock_timestamp() + make_interval(secs => $2)
WHERE token = $1 AND expires_at > clock_timestamp()

-- name: hold
SELECT now() FROM leases WHERE name = $1 AND token = $2 AND expires_at > clock_timestamp() FOR UPDATE

-- name: ran
UPDATE leases SET last_run_at = clock_timestamp() WHERE name = $1

-- name: release
UPDATE leases SET expires_at = '-infinity' WHERE token = $1
