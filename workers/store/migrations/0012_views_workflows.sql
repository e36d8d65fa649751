CREATE VIEW sluice.workflow_runs AS
SELECT workspace_id, run_id, workflow_id, contact_id, trigger, state, reason
FROM sluice_core.workflow_runs;
