-- Many contacts are deleted by a row for each: that is the rule from then on. Steps cut them off afterwards.

ALTER TABLE sluice_core.deletions ADD COLUMN cutting boolean NOT NULL DEFAULT false;    -- contacts are left to cut off
CREATE INDEX deletions_cutting ON sluice_core.deletions (workspace_id) WHERE cutting;

ALTER TABLE sluice_core.deleted_contacts ADD COLUMN cut_off boolean NOT NULL DEFAULT true;
CREATE INDEX deleted_contacts_whole ON sluice_core.deleted_contacts (workspace_id, contact_id) WHERE NOT cut_off;
CREATE INDEX deleted_contacts_to_cut ON sluice_core.deleted_contacts (workspace_id, deletion_id, contact_id) WHERE NOT cut_off;
