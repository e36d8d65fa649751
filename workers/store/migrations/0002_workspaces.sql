-- Tenants, their channels, and the log of their settings. Workers fold the log, so the order in which two settings
-- commands arrive changes nothing.

CREATE TABLE sluice_core.workspaces (
    workspace_id text PRIMARY KEY CHECK (workspace_id ~ '^[A-Za-z0-9_.-]{1,64}$'),
    first_message_at timestamptz,
    -- From here to now every cycle has a row; null: unknown. A first message of long ago brings hundreds of cycles, and
    -- a poll may bring thousands of workspaces: what is too much for its transaction the billing worker does in steps.
    cycles_from timestamptz,
    -- Another one after each change of settings or channels, never one that was there before: workers cache by it.
    version uuid NOT NULL DEFAULT gen_random_uuid()
);
CREATE INDEX workspaces_without_cycles ON sluice_core.workspaces (workspace_id)
    WHERE first_message_at < cycles_from OR cycles_from IS NULL AND first_message_at IS NOT NULL;

CREATE TABLE sluice_core.channels (
    workspace_id text NOT NULL,
    channel_id text NOT NULL,
    channel text NOT NULL,
    PRIMARY KEY (workspace_id, channel_id)
);

-- Every value that was ever set. channel_id '' has the settings of the workspace itself.
CREATE TABLE sluice_core.settings_log (
    workspace_id text NOT NULL,
    channel_id text NOT NULL DEFAULT '',
    name text NOT NULL,
    issued_at timestamptz NOT NULL,
    command_id uuid NOT NULL,
    value json NOT NULL,
    -- Later values made it irrelevant. Workers read only the others, so the cost of a change does not grow with the
    -- log. Of a setting that holds at once only the last value matters; of one that goes by cycle the very first one,
    -- and the last one of each quarter of an hour: no cycle begins within a quarter, in any time zone.
    superseded boolean NOT NULL DEFAULT false,
    PRIMARY KEY (workspace_id, channel_id, name, issued_at, command_id)
);
CREATE INDEX settings_log_that_matters ON sluice_core.settings_log (workspace_id) WHERE NOT superseded;

-- From when on each value holds, derived from the log in the transaction that changes it.
CREATE TABLE sluice_core.effective_settings (
    workspace_id text NOT NULL,
    channel_id text NOT NULL,           -- '': the workspace itself
    name text NOT NULL,
    holds_from timestamptz NOT NULL,    -- 1970 is the beginning: no event is older
    value jsonb NOT NULL,
    PRIMARY KEY (workspace_id, channel_id, name, holds_from)
);
