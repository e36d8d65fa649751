-- Lists are read by page: each has an index of its order.

-- By what contact_list shows.
CREATE INDEX contacts_name ON sluice_core.contacts (workspace_id, display_name, contact_id)
    WHERE blocked_at IS NULL AND merged_into IS NULL;
-- By what contact_channels shows.
CREATE INDEX contacts_email_shown ON sluice_core.contacts (workspace_id, (coalesce(edited ->> 'email', email)))
    WHERE coalesce(edited ->> 'email', email) IS NOT NULL;
DROP INDEX sluice_core.identities_spelled;
CREATE INDEX identities_address ON sluice_core.identities (address, workspace_id);

CREATE INDEX profiles_shown ON sluice_core.profiles (workspace_id, name, profile_id) WHERE deleted_at IS NULL;

CREATE INDEX messages_dropped_lately ON sluice_core.messages (workspace_id, event_time, message_id) WHERE drop_reason IS NOT NULL;

-- Counts of a group need no row of it.
DROP INDEX sluice_core.sends_group;
CREATE INDEX sends_group ON sluice_core.sends (workspace_id, group_id, status) WHERE group_id IS NOT NULL;
CREATE INDEX sends_status ON sluice_core.sends (workspace_id, status, updated_at, send_id);
CREATE INDEX sends_held ON sluice_core.sends (workspace_id, held_at, send_id) WHERE status = 'held';
CREATE INDEX sends_held_in_group ON sluice_core.sends (workspace_id, group_id, held_at, send_id)
    WHERE status = 'held' AND group_id IS NOT NULL;

CREATE INDEX workflow_runs_started ON sluice_core.workflow_runs (workspace_id, started_at, run_id);

CREATE INDEX commands_of_workspace ON sluice_core.commands (workspace_id, applied_at);
CREATE INDEX merges_of_workspace ON sluice_core.merges (workspace_id, merged_at, merge_id);
CREATE INDEX mac_contacts_by_time ON sluice_core.mac_contacts (workspace_id, cycle_start, first_counted_at, contact_id);

-- From its sixth call on a prepared statement may get a plan for the average workspace, which is a hundred times slower for a large one.
-- Readers plan for the workspace that they ask about; workers set it for themselves. Who may not alter the database leaves it
-- as it is: docs/reading.md says what readers set then.
DO $$
BEGIN
    EXECUTE format('ALTER DATABASE %I SET plan_cache_mode = force_custom_plan', current_database());
EXCEPTION WHEN insufficient_privilege THEN
    NULL;
END $$;
