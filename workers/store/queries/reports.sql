-- name: mac
SELECT workspace_id, cycle_start, cycle_end, active_contacts, adjustments, status, closed_at, revision,
    workspace_id IN (SELECT workspace_id FROM sluice.counting_again) AS counting_again
FROM sluice.mac_counts
WHERE ($1::text IS NULL OR workspace_id = $1) AND ($2::timestamptz IS NULL OR cycle_start = $2)
    AND ($3::timestamptz IS NULL OR cycle_end > $3)
ORDER BY workspace_id, cycle_start DESC LIMIT $4

-- name: mac_accounts
SELECT account, workspace_id, cycle_start, cycle_end, active_contacts, adjustments, status
FROM sluice.mac_accounts
WHERE account = $1 AND ($2::timestamptz IS NULL OR cycle_start = $2) AND ($3::timestamptz IS NULL OR cycle_end > $3)
ORDER BY cycle_start DESC, workspace_id

-- name: time_zones
SELECT workspace_id, holds_from, value #>> '{}' AS time_zone FROM sluice.settings_in_effect
WHERE workspace_id = ANY($1::text[]) AND channel_id IS NULL AND name = 'time_zone' ORDER BY workspace_id, holds_from

-- name: explain_mac
SELECT message_id, channel, kind, event_time, counted, rule, explanation, active, verdict, counted_as
FROM sluice.explain_mac($1, $2, $3) LIMIT $4

-- name: adjustments_of_contact
SELECT adjustment_id, amount, cause, fact_id, at FROM sluice.mac_adjustments
WHERE workspace_id = $1 AND cycle_start = $2 AND contact_id = $3 ORDER BY adjustment_id LIMIT $4

-- name: has_workspace
SELECT EXISTS (SELECT FROM sluice.settings_in_effect WHERE workspace_id = $1)

-- name: has_cycle
SELECT EXISTS (SELECT FROM sluice.mac_counts WHERE ($1::text IS NULL OR workspace_id = $1) AND cycle_start = $2)

-- name: cycle_around
SELECT cycle_start FROM sluice.mac_counts WHERE workspace_id = $1 AND cycle_start <= $2 AND cycle_end > $2

-- name: progress
SELECT consumer_group, topic, partition, owner, next_offset, updated_at FROM sluice.partition_progress
ORDER BY topic, partition

-- name: standing
SELECT consumer_group, topic, partition, owner, working, next_offset, updated_at
FROM sluice.partitions ORDER BY topic, partition

-- name: now
SELECT clock_timestamp()

-- name: workers
SELECT host, pid, version, since, workers, partitions, jobs FROM sluice.workers ORDER BY host, pid

-- name: jobs
SELECT name, owner, last_run_at FROM sluice.jobs ORDER BY name

-- name: counting_again
SELECT workspace_id, done, total, since FROM sluice.counting_again ORDER BY since, workspace_id LIMIT $1

-- name: dead_letters
SELECT status, count(*) AS letters, max(first_seen) AS newest FROM sluice.dead_letters GROUP BY status ORDER BY status

-- name: backlog
SELECT unpublished_batches, unpublished_events, contacts_to_publish, counts_to_publish, pending_work, parked_receipts, holds
FROM sluice.backlog

-- name: pending_work
SELECT workspace_id, kind, subject, done, total, asked_at FROM sluice.pending_work ORDER BY asked_at LIMIT $1

-- name: closing_delays
SELECT topic, partition, applied_until, cycles, since FROM sluice.closing_delays ORDER BY since, topic, partition

-- name: verification_round
SELECT began_at, ended_at, workspaces_that_differ, differences FROM sluice.verification_round

-- name: search_profiles
SELECT * FROM sluice.search_profiles($1, $2, $3)

-- name: profile
SELECT * FROM sluice.profile_overview WHERE workspace_id = $1 AND profile_id = $2

-- name: contacts_of_profile
SELECT contact_id, display_name, phone, email, conversation_status FROM sluice.contact_overview
WHERE workspace_id = $1 AND profile_id = $2 ORDER BY lower(display_name), contact_id LIMIT $3

-- name: search_contacts
SELECT * FROM sluice.search_contacts($1, $2, $3)

-- name: present
-- Who a contact is now, after merges.
WITH RECURSIVE present (contact_id, hops) AS (
    SELECT $2::uuid, 0
    UNION ALL
    SELECT m.survivor_id, p.hops + 1 FROM present p
    JOIN sluice.merge_history m ON m.workspace_id = $1 AND m.loser_id = p.contact_id AND m.undone_at IS NULL
    WHERE p.hops < 1000
)
SELECT contact_id FROM present ORDER BY hops DESC LIMIT 1

-- name: contact
SELECT * FROM sluice.contact_overview WHERE workspace_id = $1 AND contact_id = $2

-- name: channels_of_contact
SELECT channel, channel_id, address, state, connected_at, opted_out FROM sluice.contact_channels
WHERE workspace_id = $1 AND contact_id = $2 ORDER BY channel, channel_id, address

-- name: command_results
SELECT command_id, command, outcome, reason, detail, changed, at FROM sluice.command_results
WHERE workspace_id = $1 AND command_id = ANY ($2::uuid[])

-- name: deletions
-- Those under way first, then the newest.
SELECT workspace_id, deletion_id, requested_at, contacts, done, finished_at FROM sluice.deletions
WHERE ($1::text IS NULL OR workspace_id = $1) AND ($2 OR finished_at IS NULL)
ORDER BY finished_at IS NOT NULL, requested_at DESC, deletion_id LIMIT $3

-- name: impact
SELECT runs, holds, messages, contacts, active_contacts FROM sluice.impact($1, $2::jsonb)

