-- What a worker may know already, so that it need not ask: both are read with the row that a poll locks anyway.

ALTER TABLE sluice_core.contacts
    -- In the cycle that holds this event time the contact is counted, by a message no later. NULL: ask mac_contacts.
    ADD COLUMN counted_at timestamptz;

ALTER TABLE sluice_core.workspaces
    -- Another one after each change of its settings or channels; never one that was there before.
    ADD COLUMN version uuid NOT NULL DEFAULT gen_random_uuid();
