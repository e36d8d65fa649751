-- Billing accounts.

-- name: lock
-- Two workers that start at a time wait for each other, and the later one's file holds.
LOCK TABLE accounts IN SHARE ROW EXCLUSIVE MODE

-- name: replace
WITH new AS (
    SELECT workspace_id, account FROM unnest($1::text[], $2::text[]) AS new (workspace_id, account)
), gone AS (
    DELETE FROM accounts a WHERE NOT EXISTS (SELECT FROM new WHERE new.workspace_id = a.workspace_id)
)
INSERT INTO accounts (workspace_id, account) SELECT workspace_id, account FROM new
ON CONFLICT (workspace_id) DO UPDATE SET account = excluded.account WHERE accounts.account <> excluded.account
