SELECT status, reason FROM sluice.sends WHERE workspace_id = $1 AND send_id = $2
