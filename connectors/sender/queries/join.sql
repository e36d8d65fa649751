SELECT sluice.join_senders($1, $2, $3)
