-- Tenants, their channels, and the log of their settings. Values are read by folding the log, so that the
-- order in which two settings commands arrive changes nothing.

CREATE TABLE sluice_core.workspaces (
    workspace_id text PRIMARY KEY CHECK (workspace_id ~ '^[A-Za-z0-9_.-]{1,64}$'),
    first_message_at timestamptz,
    created_at timestamptz NOT NULL DEFAULT now()
);

CREATE TABLE sluice_core.channels (
    workspace_id text NOT NULL,
    channel_id text NOT NULL,
    channel text NOT NULL,
    created_at timestamptz NOT NULL DEFAULT now(),
    PRIMARY KEY (workspace_id, channel_id)
);

-- channel_id '' holds the settings of the workspace itself.
CREATE TABLE sluice_core.settings_log (
    workspace_id text NOT NULL,
    channel_id text NOT NULL DEFAULT '',
    name text NOT NULL,
    issued_at timestamptz NOT NULL,
    command_id uuid NOT NULL,
    value json NOT NULL,
    PRIMARY KEY (workspace_id, channel_id, name, issued_at, command_id)
);
