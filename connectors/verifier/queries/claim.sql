SELECT granted, reason FROM sluice.claim_send($1, $2, $3)
