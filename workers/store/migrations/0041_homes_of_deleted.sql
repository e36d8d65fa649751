-- Whose an address of a deleted contact was before merges: closed cycles keep the contact that they counted. Null: deleted before
-- this column existed, and unknown.
ALTER TABLE sluice_core.deleted_identities ADD COLUMN home_id uuid;
CREATE INDEX deleted_identities_home ON sluice_core.deleted_identities (workspace_id, home_id) WHERE home_id IS NOT NULL;
