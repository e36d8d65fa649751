-- People and their addresses. A message belongs to an identity, and the identity says whose it is: a merge of two
-- contacts moves identities and no messages.

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
    -- [blocked_at, unblocked_at) of the newest blocks, oldest first; in the row, because ingest reads them under the
    -- row's lock. Every interval that ends after `blocks_since` is here (null: every one); older ones are found among
    -- the commands.
    blocks tstzrange[] NOT NULL DEFAULT '{}',
    blocks_since timestamptz,
    blocked_at timestamptz,
    blocked_by text,
    -- The conversation is open if its last opening is later than the last closing: closed_at, or the begin of a block.
    opened_at timestamptz,
    closed_at timestamptz,
    -- In the cycle that holds this event time the contact is counted, by a message no later; null: ask mac_contacts.
    counted_at timestamptz,
    revision bigint NOT NULL DEFAULT 1,
    PRIMARY KEY (workspace_id, contact_id)
);
CREATE INDEX contacts_blocked ON sluice_core.contacts (workspace_id, blocked_at) WHERE blocked_at IS NOT NULL;
CREATE INDEX contacts_phone ON sluice_core.contacts (workspace_id, phone) WHERE phone IS NOT NULL;
CREATE INDEX contacts_email ON sluice_core.contacts (workspace_id, lower(email)) WHERE email IS NOT NULL;
CREATE INDEX contacts_profile ON sluice_core.contacts (workspace_id, profile_id) WHERE profile_id IS NOT NULL;

CREATE TABLE sluice_core.identities (
    workspace_id text NOT NULL,
    identity_id bigint GENERATED ALWAYS AS IDENTITY,    -- one sequence for all workspaces
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
    PRIMARY KEY (workspace_id, identity_id),
    -- Addresses differ, what stands before them mostly does not. With the address first each step down the index
    -- compares a single column, which takes a third less.
    CONSTRAINT identities_lookup_key UNIQUE (lookup, scope, channel, workspace_id)
);
CREATE INDEX identities_contact ON sluice_core.identities (workspace_id, contact_id);
-- An address may be asked for as it is shown, where that is not what it is looked up by.
CREATE INDEX identities_spelled ON sluice_core.identities (address) WHERE address <> lookup;

CREATE TABLE sluice_core.block_commands (
    workspace_id text NOT NULL,
    contact_id uuid NOT NULL,
    issued_at timestamptz NOT NULL,
    unblocks boolean NOT NULL,
    command_id uuid NOT NULL,
    actor_id text NOT NULL,
    note text,
    -- One look-up finds the last command of either kind before a time, and the first one after it.
    PRIMARY KEY (workspace_id, contact_id, unblocks, issued_at, command_id)
);

-- Locked in place of contacts: who judges a message by a block history holds the contact's bucket FOR SHARE, who
-- changes the history holds it FOR UPDATE. A shared lock is written to the row's page, and the pages of contacts are
-- many.
CREATE TABLE sluice_core.contact_locks (bucket int PRIMARY KEY);
INSERT INTO sluice_core.contact_locks SELECT generate_series(0, 65535);
-- A lock on a row that is not there would lock nothing.
REVOKE INSERT, DELETE ON sluice_core.contact_locks FROM sluice_worker;

-- Keys of contacts.changes whose topic record may be older than the row.
CREATE TABLE sluice_core.unpublished_contacts (
    workspace_id text NOT NULL,
    contact_id uuid NOT NULL,
    revision bigint NOT NULL,
    PRIMARY KEY (workspace_id, contact_id)
);
