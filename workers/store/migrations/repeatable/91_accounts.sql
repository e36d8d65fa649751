-- The counts of a billing account: one row for each cycle of each of its workspaces. A contact of two workspaces counts in each.
CREATE VIEW sluice.mac_accounts AS
SELECT a.account, c.workspace_id, c.cycle_start, c.cycle_end, c.active_contacts, c.adjustments, c.status
FROM sluice_core.accounts a
JOIN sluice.mac_counts c ON c.workspace_id = a.workspace_id;

GRANT SELECT ON sluice.mac_accounts TO sluice_billing;
