-- name: workspaces
-- Each workspace has at least one value of each setting. Their view would compute all of them for every workspace first.
SELECT DISTINCT workspace_id FROM sluice.settings_in_effect
WHERE name = 'anchor_day' AND channel_id IS NULL AND ($1 OR workspace_id = ANY ($2::text[])) ORDER BY workspace_id LIMIT 200

-- name: waiting
SELECT
    (SELECT count(*) FROM (SELECT FROM sluice.held_sends WHERE workspace_id = $1 LIMIT 100) AS h) AS holds,
    (SELECT count(*) FROM (SELECT FROM sluice.dead_letters WHERE $2 AND status = 'new' LIMIT 100) AS d) AS letters
