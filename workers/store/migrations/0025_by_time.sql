-- Indexes for lists by time are on an expression that only these lists ask for. PostgreSQL took one on the plain columns for queries about
-- one contact that name its workspace and a span of time, and read all of the workspace.
DROP INDEX sluice_core.messages_dropped_lately;
CREATE INDEX messages_dropped_by_time ON sluice_core.messages ((workspace_id || ''), event_time, message_id)
    WHERE drop_reason IS NOT NULL;
DROP INDEX sluice_core.workflow_runs_started;
CREATE INDEX workflow_runs_by_time ON sluice_core.workflow_runs ((workspace_id || ''), started_at, run_id);
