-- People and their addresses. A message belongs to an identity; who owns the identity is a fact of its own, so that
-- joining two contacts moves addresses and no messages.

CREATE TABLE sluice_core.contacts (
    workspace_id text NOT NULL,
    contact_id uuid NOT NULL,
    conversation_id uuid NOT NULL DEFAULT gen_random_uuid(),
    display_name text,
    first_name text,
    last_name text,
    country text,
    language text,
    email text,
    phone text,
    assignee text,
    avatar_url text,
    custom jsonb NOT NULL DEFAULT '{}',
    profile_id text,
    profile_at timestamptz,
    profile_by uuid,
    -- [blocked_at, unblocked_at) of each block, oldest first; kept in the row because ingest reads it under the row's lock
    blocks tstzrange[] NOT NULL DEFAULT '{}',
    blocked_at timestamptz,
    blocked_by text,
    -- the conversation is open if an opening event (the witness) is later than the last closing: closed_at, or a block's begin
    opened_at timestamptz,
    closed_at timestamptz,
    revision bigint NOT NULL DEFAULT 1,
    created_at timestamptz NOT NULL DEFAULT now(),
    PRIMARY KEY (workspace_id, contact_id)
);
CREATE INDEX contacts_blocked ON sluice_core.contacts (workspace_id, blocked_at) WHERE blocked_at IS NOT NULL;
CREATE INDEX contacts_phone ON sluice_core.contacts (workspace_id, phone) WHERE phone IS NOT NULL;
CREATE INDEX contacts_email ON sluice_core.contacts (workspace_id, lower(email)) WHERE email IS NOT NULL;
CREATE INDEX contacts_profile ON sluice_core.contacts (workspace_id, profile_id) WHERE profile_id IS NOT NULL;

CREATE TABLE sluice_core.identities (
    workspace_id text NOT NULL,
    identity_id bigint GENERATED ALWAYS AS IDENTITY,
    channel text NOT NULL,
    -- '' where the address means the same on every channel of its kind, else the channel_id
    scope text NOT NULL,
    -- what addresses are compared by: national aliases of one number share it
    lookup text NOT NULL,
    address text NOT NULL,
    contact_id uuid NOT NULL,
    -- the first interaction: channel and event time
    channel_id text,
    connected_at timestamptz,
    opted_out boolean NOT NULL DEFAULT false,
    opted_at timestamptz,
    opted_by uuid,
    created_at timestamptz NOT NULL DEFAULT now(),
    PRIMARY KEY (workspace_id, identity_id),
    UNIQUE (workspace_id, channel, scope, lookup)
);
CREATE INDEX identities_contact ON sluice_core.identities (workspace_id, contact_id);

CREATE TABLE sluice_core.block_commands (
    workspace_id text NOT NULL,
    contact_id uuid NOT NULL,
    issued_at timestamptz NOT NULL,
    unblocks boolean NOT NULL,
    command_id uuid NOT NULL,
    actor_id text NOT NULL,
    note text,
    PRIMARY KEY (workspace_id, contact_id, issued_at, command_id)
);

-- Keys of contacts.changes whose topic record may be older than the row.
CREATE TABLE sluice_core.dirty_contacts (
    workspace_id text NOT NULL,
    contact_id uuid NOT NULL,
    revision bigint NOT NULL,
    PRIMARY KEY (workspace_id, contact_id)
);
