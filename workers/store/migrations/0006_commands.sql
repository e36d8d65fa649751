-- What people asked for, once per command_id, with its result: the audit log is a view of it.

CREATE TABLE sluice_core.commands (
    workspace_id text NOT NULL,
    command_id uuid NOT NULL,
    command text NOT NULL,
    actor_id text NOT NULL,
    actor_role text NOT NULL,
    target text,
    issued_at timestamptz,
    outcome text NOT NULL CHECK (outcome IN ('done', 'refused')),
    reason text,
    detail text,                    -- why it was refused, in words for people
    changed json NOT NULL,
    applied_at timestamptz NOT NULL,
    PRIMARY KEY (workspace_id, command_id)
);
CREATE INDEX commands_applied ON sluice_core.commands (applied_at);
