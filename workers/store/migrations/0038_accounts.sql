-- Billing accounts of several workspaces, as the accounts file of the billing worker has them.
CREATE TABLE sluice_core.accounts (
    workspace_id text PRIMARY KEY,
    account text NOT NULL
);
CREATE INDEX accounts_by_name ON sluice_core.accounts (account);
