-- What users do with conversations: open, close, snooze, comment.

ALTER TABLE sluice_core.contacts
    -- Of the commands that open and close only the latest counts. It set closed_at or user_opened_at, the other is null.
    ADD COLUMN user_opened_at timestamptz,
    ADD COLUMN moved_by uuid,
    -- The latest snooze, unless such a command came after it; snoozed_until is null once it is over by the clock.
    ADD COLUMN snoozed_at timestamptz,
    ADD COLUMN snoozed_by uuid,
    ADD COLUMN snoozed_until timestamptz;
CREATE INDEX contacts_snoozed ON sluice_core.contacts (snoozed_until) WHERE snoozed_until IS NOT NULL;

-- Comments are of the contact they were written to: no identity has them.
CREATE TABLE sluice_core.comments (
    workspace_id text NOT NULL,
    contact_id uuid NOT NULL,
    written_at timestamptz NOT NULL,
    comment_id uuid NOT NULL,    -- the id of the command
    author text NOT NULL,
    text text NOT NULL,
    PRIMARY KEY (workspace_id, contact_id, written_at, comment_id)
);
