SELECT sluice.leave_senders($1, $2)
