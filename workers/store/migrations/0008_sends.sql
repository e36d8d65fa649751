-- Outbound messages from request to receipt. A request of which only the ids could be read is a refused send; its row
-- has '' for the rest.

CREATE TABLE sluice_core.sends (
    workspace_id text NOT NULL,
    send_id uuid NOT NULL,
    group_id text,
    contact_id uuid,
    channel text NOT NULL,
    channel_id text NOT NULL,
    -- with the channel the identity of the address; its owner is looked up at each judgement
    scope text,
    lookup text,
    -- as it will be dispatched (E.164 for phone numbers); null if it could not be found
    address text,
    -- the address could be written to before anything was heard from it, as judged when the send was requested
    understood boolean NOT NULL DEFAULT true,
    content json NOT NULL,
    source text NOT NULL,
    run_id text,
    step_id text,
    requested_by text NOT NULL,
    requested_role text NOT NULL,
    requested_at timestamptz NOT NULL,
    traceparent text,
    status text NOT NULL,
    reason text,
    -- codes shown on the hold, their keys (code and status or company), and the keys that were confirmed
    reasons text[] NOT NULL DEFAULT '{}',
    reason_keys text[] NOT NULL DEFAULT '{}',
    confirmed_keys text[] NOT NULL DEFAULT '{}',
    confirmed_by text,
    confirmed_at timestamptz,
    -- an answer that came with the request covers the protections that began before this
    confirmed_before timestamptz,
    -- the latest attempt, and the one whose status the send shows
    attempt integer NOT NULL DEFAULT 0,
    best_attempt integer NOT NULL DEFAULT 0,
    revision integer NOT NULL DEFAULT 1,
    held_at timestamptz,
    expires_at timestamptz,
    retry_at timestamptz,
    -- a claim was denied for a reason the status does not show yet
    recheck_at timestamptz,
    -- the message it is (by the provider's id, if that came with the first acceptance), and when a provider accepted it
    message_id uuid,
    accepted_at timestamptz,
    applied_at timestamptz NOT NULL,
    updated_at timestamptz NOT NULL,
    PRIMARY KEY (workspace_id, send_id)
);
CREATE INDEX sends_group ON sluice_core.sends (workspace_id, group_id) WHERE group_id IS NOT NULL;
CREATE INDEX sends_contact ON sluice_core.sends (workspace_id, contact_id);
-- Steps go through the holds of a group, a contact, an address or a run in the order of their ids.
CREATE INDEX sends_held_group ON sluice_core.sends (workspace_id, group_id, send_id) WHERE status = 'held' AND group_id IS NOT NULL;
CREATE INDEX sends_held_contact ON sluice_core.sends (workspace_id, contact_id, send_id) WHERE status = 'held';
CREATE INDEX sends_held_to ON sluice_core.sends (workspace_id, channel, scope, lookup, send_id) WHERE status = 'held';
CREATE INDEX sends_held_by_run ON sluice_core.sends (workspace_id, run_id, send_id) WHERE status = 'held' AND run_id IS NOT NULL;
CREATE INDEX sends_expiring ON sluice_core.sends (expires_at) WHERE status = 'held';
CREATE INDEX sends_retrying ON sluice_core.sends (retry_at) WHERE retry_at IS NOT NULL;
CREATE INDEX sends_rechecking ON sluice_core.sends (recheck_at) WHERE recheck_at IS NOT NULL;

CREATE TABLE sluice_core.send_attempts (
    workspace_id text NOT NULL,
    send_id uuid NOT NULL,
    attempt integer NOT NULL,
    channel_id text NOT NULL,
    status text NOT NULL,
    dispatched_at timestamptz NOT NULL,
    claimed_at timestamptz,
    status_at timestamptz,
    permanent boolean NOT NULL DEFAULT false,
    error_code text,
    provider_message_id text,
    PRIMARY KEY (workspace_id, send_id, attempt)
);
CREATE INDEX send_attempts_provider ON sluice_core.send_attempts (workspace_id, channel_id, provider_message_id)
    WHERE provider_message_id IS NOT NULL;

-- Receipts that came before the dispatch of their send.
CREATE TABLE sluice_core.parked_receipts (
    workspace_id text NOT NULL,
    topic text NOT NULL,
    partition integer NOT NULL,
    "offset" bigint NOT NULL,
    send_id uuid,
    channel_id text NOT NULL,
    provider_message_id text,
    attempt integer,
    -- the record, byte for byte: it becomes a dead letter if nobody claims it
    key bytea,
    value bytea NOT NULL,
    headers bytea,                  -- MessagePack: [[name, value], …]; null: none
    record_at timestamptz NOT NULL,
    parked_at timestamptz NOT NULL,
    PRIMARY KEY (workspace_id, topic, partition, "offset")
);
CREATE INDEX parked_receipts_send ON sluice_core.parked_receipts (workspace_id, send_id) WHERE send_id IS NOT NULL;
CREATE INDEX parked_receipts_provider ON sluice_core.parked_receipts (workspace_id, channel_id, provider_message_id)
    WHERE provider_message_id IS NOT NULL;
-- A job looks them over some at a time, oldest first.
CREATE INDEX parked_receipts_age ON sluice_core.parked_receipts (parked_at, topic, partition, "offset");
