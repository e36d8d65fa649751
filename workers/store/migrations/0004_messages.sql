-- One row per message, accepted or dropped: the verdict is a column, so that a revision is an update and the drop ledger a view.

CREATE TABLE sluice_core.messages (
    workspace_id text NOT NULL,
    message_id uuid NOT NULL,
    identity_id bigint NOT NULL,
    channel_id text NOT NULL,
    channel text NOT NULL,
    kind text NOT NULL CHECK (kind IN ('message', 'reaction', 'echo', 'send', 'broadcast')),
    event_time timestamptz NOT NULL,
    -- NULL = accepted
    drop_reason text CHECK (drop_reason IN ('contact_blocked', 'contact_deleted')),
    -- start of the block interval that covers the event time, whatever the verdict
    block_start timestamptz,
    -- a person took it out of the drop ledger: no interval drops it again
    released boolean NOT NULL DEFAULT false,
    -- the workspace's rule that decided whether the dropped message counts
    mac_rule text CHECK (mac_rule IN ('next_cycle', 'immediate')),
    -- counts for MAC in the cycle that holds its event time
    counted boolean NOT NULL,
    revision integer NOT NULL DEFAULT 1,
    decided_at timestamptz NOT NULL,
    -- tells a repeat from a conflict, also after the content is gone
    content_digest bigint NOT NULL,
    -- the message as it travels on messages.accepted, without the ids; NULL once erased
    body json,
    erase_at timestamptz,
    send_id uuid,
    PRIMARY KEY (workspace_id, message_id)
);
-- Each message is in exactly one of the two.
CREATE INDEX messages_accepted ON sluice_core.messages (workspace_id, identity_id, event_time) WHERE drop_reason IS NULL;
CREATE INDEX messages_dropped ON sluice_core.messages (workspace_id, identity_id, event_time) WHERE drop_reason IS NOT NULL;
CREATE INDEX messages_erasable ON sluice_core.messages (erase_at) WHERE erase_at IS NOT NULL;

CREATE TABLE sluice_core.message_conflicts (
    workspace_id text NOT NULL,
    message_id uuid NOT NULL,
    times bigint NOT NULL,
    last_at timestamptz NOT NULL,
    PRIMARY KEY (workspace_id, message_id)
);

-- Contacts whose stored verdicts may differ from what their block history says; upkeep works them off in steps.
CREATE TABLE sluice_core.revisions_due (
    workspace_id text NOT NULL,
    contact_id uuid NOT NULL,
    command_id uuid NOT NULL,
    reason text NOT NULL,
    requested_at timestamptz NOT NULL DEFAULT now(),
    PRIMARY KEY (workspace_id, contact_id, command_id)
);
