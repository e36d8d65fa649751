-- Lists that are read by page have a unique order, each with an index: what one poll stores has one time.

DROP INDEX sluice_core.commands_of_workspace;
CREATE INDEX commands_of_workspace ON sluice_core.commands (workspace_id, applied_at, command_id);
CREATE INDEX commands_of_actor ON sluice_core.commands (workspace_id, actor_id, applied_at, command_id);
CREATE INDEX commands_by_name ON sluice_core.commands (workspace_id, command, applied_at, command_id);

DROP INDEX sluice_core.contacts_blocked;
CREATE INDEX contacts_blocked ON sluice_core.contacts (workspace_id, blocked_at, contact_id) WHERE blocked_at IS NOT NULL;
CREATE INDEX deletions_of_workspace ON sluice_core.deletions (workspace_id, requested_at, deletion_id);
CREATE INDEX dead_letters_by_status ON sluice_core.dead_letters (status, id);
CREATE INDEX dead_letters_by_topic ON sluice_core.dead_letters (source_topic, id);

-- Which profiles a status protects.
CREATE INDEX profiles_by_status ON sluice_core.profiles (workspace_id, status) WHERE status IS NOT NULL AND deleted_at IS NULL;
