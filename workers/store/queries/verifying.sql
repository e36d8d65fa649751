-- Verifies counts. Every one of these can be asked by sluice_billing.

-- name: workspace
SELECT first_message_at, has_cycles, counted_again, contacts_again, late_facts FROM sluice.verify_workspace($1)

-- name: workspaces_from
SELECT DISTINCT workspace_id FROM sluice.settings_in_effect WHERE workspace_id > $1 ORDER BY workspace_id LIMIT $2

-- name: dividing_settings
SELECT holds_from, name, value FROM sluice.settings_in_effect
WHERE workspace_id = $1 AND channel_id IS NULL AND name IN ('time_zone', 'anchor_day')

-- name: cycles
SELECT cycle_start, status, closes_at FROM sluice.verify_cycles($1)

-- name: figures
SELECT cycle_end, status, closed_at, closed_contacts, contacts, shards, adjustments FROM sluice.verify_figures($1, $2)

-- name: quarters
SELECT quarter, stands, should FROM sluice.verify_quarters($1, $2, $3)

-- name: until
SELECT sluice.verify_until($1, $2, $3, $4)

-- name: contacts
SELECT cycle_start, contact_id, what, stands, should FROM sluice.verify_contacts($1, $2, $3, $4, $5)

-- name: merges
SELECT survivor_id, loser_id, merged_at, recorded_at, undone_at, undo_recorded_at FROM sluice.verify_merges($1)

-- name: homes
SELECT cycle_start, status, closes_at, contact_id, at, message_id, home_lost, first_counted_at, first_message_id, adjusted, not_final
FROM sluice.verify_homes($1, $2, $3)

-- name: lock_round
SELECT began_at, ended_at, place FROM verification_round FOR UPDATE

-- name: save_round
INSERT INTO verification_round (began_at, ended_at, place) VALUES ($1, $2, $3)
ON CONFLICT (one) DO UPDATE SET began_at = excluded.began_at, ended_at = excluded.ended_at, place = excluded.place

-- name: save_result
INSERT INTO verifications (workspace_id, verified_at, differences, not_final, examples) VALUES ($1, $2, $3, $4, $5)
ON CONFLICT (workspace_id) DO UPDATE SET verified_at = excluded.verified_at, differences = excluded.differences,
    not_final = excluded.not_final, examples = excluded.examples

