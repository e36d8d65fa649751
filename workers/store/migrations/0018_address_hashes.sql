-- Addresses of deleted contacts as keyed hashes: whose late messages are, who is still blocked, who has opted out.

-- Keys that hashes were made with, by their ids. A process that lacks one of them would not find those hashes.
CREATE TABLE sluice_core.hash_keys (key_id text PRIMARY KEY);

CREATE TABLE sluice_core.address_hashes (
    workspace_id text NOT NULL,
    hash bytea NOT NULL,                -- HMAC-SHA256 of workspace, channel, scope and lookup
    identity_id bigint NOT NULL,        -- of deleted_identities
    key_id text NOT NULL REFERENCES sluice_core.hash_keys,
    contact_id uuid NOT NULL,
    began_at timestamptz,               -- the contact had the address in [began_at, ended_at)
    ended_at timestamptz NOT NULL,
    -- A block that had not ended, and what came since: [{"issued_at", "unblocks", "command_id", "actor_id"}, …]. They
    -- pass to the contact that has the address next, as do opt-outs.
    commands jsonb NOT NULL DEFAULT '[]',
    blocks tstzrange[] NOT NULL DEFAULT '{}',   -- the intervals that follow from them
    blocked boolean NOT NULL DEFAULT false,
    opted_out boolean NOT NULL DEFAULT false,
    opted_at timestamptz,
    opted_by uuid,
    forget_at timestamptz NOT NULL,     -- unless blocked or opted out
    PRIMARY KEY (workspace_id, hash, identity_id)
);
CREATE INDEX address_hashes_contact ON sluice_core.address_hashes (workspace_id, contact_id);
CREATE INDEX address_hashes_key ON sluice_core.address_hashes (key_id);
CREATE INDEX address_hashes_forgotten ON sluice_core.address_hashes (forget_at) WHERE NOT blocked AND NOT opted_out;

-- The hashes of the address of a send, by the present key and the old one; null: requested before there were any.
ALTER TABLE sluice_core.sends ADD COLUMN address_hashes bytea[];
