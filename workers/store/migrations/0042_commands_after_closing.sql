-- Which blocks and merges are later than the closing instant of a cycle.
CREATE INDEX block_commands_by_record ON sluice_core.block_commands (workspace_id, recorded_at) WHERE recorded_at IS NOT NULL;
CREATE INDEX merges_by_last_command ON sluice_core.merges
    (workspace_id, greatest(merged_at, recorded_at, undone_at, undo_recorded_at));
