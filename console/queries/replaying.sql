-- name: settle
SELECT sluice.dead_letter_settle($1, $2)
