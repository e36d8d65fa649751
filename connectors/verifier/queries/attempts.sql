SELECT send_id, attempt, claimed_at FROM sluice.send_attempts
WHERE workspace_id = $1 AND send_id = ANY ($2::uuid[])
ORDER BY send_id, attempt
