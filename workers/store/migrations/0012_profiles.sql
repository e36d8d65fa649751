-- Profiles are renamed, have custom fields and notes, are searched by a part of their name, and are deleted. Each value
-- carries the (issued_at, command_id) that wrote it.

-- Names are compared as bytes: any part of a script sorts and matches the same in every database.
ALTER TABLE sluice_core.profiles
    ALTER COLUMN name_key TYPE text COLLATE "C",
    ADD COLUMN named_at timestamptz,
    ADD COLUMN named_by uuid,
    -- {"field": ["issued_at", "command_id"]} of every custom field that was ever written, cleared ones included
    ADD COLUMN written json NOT NULL DEFAULT '{}',
    -- hashes of the parts of the name (name_grams); empty: not found by a part
    ADD COLUMN name_grams integer[] NOT NULL DEFAULT '{}',
    -- A deleted profile keeps its row, so that its id is never used again, and nothing in it that says who it was.
    ADD COLUMN deleted_at timestamptz,
    ADD COLUMN deleted_by uuid;
DROP INDEX sluice_core.profiles_name;
CREATE INDEX profiles_name ON sluice_core.profiles (workspace_id, name_key, profile_id) WHERE deleted_at IS NULL;
CREATE INDEX profiles_name_grams ON sluice_core.profiles USING gin (name_grams);

CREATE TABLE sluice_core.profile_notes (
    workspace_id text NOT NULL,
    profile_id text NOT NULL,
    note_id text NOT NULL,
    text text NOT NULL,             -- '' once deleted
    text_at timestamptz,
    text_by uuid,
    created_by text NOT NULL,
    created_at timestamptz NOT NULL,
    -- the last edit that changed the text
    edited_by text,
    edited_at timestamptz,
    deleted_at timestamptz,
    deleted_by uuid,
    PRIMARY KEY (workspace_id, profile_id, note_id)
);
CREATE INDEX profile_notes_kept ON sluice_core.profile_notes (workspace_id, profile_id) WHERE deleted_at IS NULL;

-- A send that no provider has accepted is in the conversation by its first dispatch. A page of the conversation finds the
-- newest of those without reading the others.
ALTER TABLE sluice_core.sends ADD COLUMN first_dispatched_at timestamptz;
UPDATE sluice_core.sends s SET first_dispatched_at = a.dispatched_at FROM sluice_core.send_attempts a
WHERE a.workspace_id = s.workspace_id AND a.send_id = s.send_id AND a.attempt = 1;
CREATE INDEX sends_not_accepted ON sluice_core.sends (workspace_id, contact_id, first_dispatched_at)
    WHERE accepted_at IS NULL AND attempt > 0;
