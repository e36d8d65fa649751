-- Merges of contacts. The loser's row stays as it was, and leads to the survivor; its identities get the survivor as their
-- contact. Nothing else that belongs to an identity or to the loser is written: it is found through them.

ALTER TABLE sluice_core.contacts
    -- The survivor; of a chain of merges the last one.
    ADD COLUMN merged_into uuid;
CREATE INDEX contacts_merged ON sluice_core.contacts (workspace_id, merged_into) WHERE merged_into IS NOT NULL;

-- The contact that the address was of before it came by a merge: its blocks judge the messages. Null: the present one's.
ALTER TABLE sluice_core.identities ADD COLUMN home_id uuid;
CREATE INDEX identities_home ON sluice_core.identities (workspace_id, home_id) WHERE home_id IS NOT NULL;

CREATE TABLE sluice_core.merges (
    workspace_id text NOT NULL,
    merge_id uuid NOT NULL,             -- the id of the command
    number bigint GENERATED ALWAYS AS IDENTITY,    -- in the order in which they were applied
    survivor_id uuid NOT NULL,
    loser_id uuid NOT NULL,
    actor_id text NOT NULL,
    merged_at timestamptz NOT NULL,     -- issued_at of the command
    undone_at timestamptz,
    -- What undoing needs: which contacts and identities came with the loser, and what the survivor had before and after.
    -- Null: erased with one of the two.
    snapshot json,
    PRIMARY KEY (workspace_id, merge_id)
);
-- Whether a contact was merged again, and what its deletion erases.
CREATE INDEX merges_of_survivor ON sluice_core.merges (workspace_id, survivor_id, number);
CREATE INDEX merges_of_loser ON sluice_core.merges (workspace_id, loser_id, number);
