SELECT status, extract(epoch FROM clock_timestamp() - claimed_at)::float8 AS claimed_s_ago
FROM sluice.send_attempts
WHERE workspace_id = $1 AND send_id = $2 AND attempt = $3
