-- Messages are stored in generations, one after the other, and every index that a new message touches begins with its
-- generation: inserts stay within the few pages of the newest one, however many messages there are. An id is looked up
-- in the generations that are not sealed. Of the sealed ones three bytes of each id are kept, and only an id that is
-- found there is looked up in the generations themselves.

CREATE TABLE sluice_core.generations (
    generation int PRIMARY KEY,
    opened_at timestamptz NOT NULL DEFAULT now(),
    closed_at timestamptz,          -- nothing is added to it any more
    sealed_at timestamptz,          -- the fingerprints of its ids are in message_fingerprints
    -- Size of messages_pkey when it was opened: tells without counting how much was added since.
    began_bytes bigint NOT NULL,
    -- No message is later, except for sends, which move. Noted when it is sealed: event times of the others never
    -- change.
    last_event timestamptz NOT NULL DEFAULT 'infinity',
    CHECK (sealed_at IS NULL OR closed_at IS NOT NULL)
-- A table that was never analyzed is taken for a thousand rows, and a handful never gets analyzed by itself.
) WITH (autovacuum_analyze_threshold = 0, autovacuum_analyze_scale_factor = 0, autovacuum_vacuum_threshold = 10);
CREATE UNIQUE INDEX generations_open ON sluice_core.generations ((closed_at IS NULL)) WHERE closed_at IS NULL;

-- The first two bytes of an id are its bucket, the next three its fingerprint. 32 generations share an era, so that a
-- row stays short.
CREATE TABLE sluice_core.message_fingerprints (
    era int NOT NULL,
    bucket int NOT NULL,
    fingerprints bytea NOT NULL,
    PRIMARY KEY (era, bucket)
) WITH (fillfactor = 45, autovacuum_vacuum_scale_factor = 0.5);
ALTER TABLE sluice_core.message_fingerprints ALTER COLUMN fingerprints SET STORAGE EXTERNAL;

-- A fingerprint that is lost would hide a repeat.
REVOKE DELETE ON sluice_core.generations, sluice_core.message_fingerprints FROM sluice_worker;

-- One row per message, accepted or dropped: the verdict is a column, so a revision is an update and the drop ledger a
-- view.
CREATE TABLE sluice_core.messages (
    workspace_id text NOT NULL,
    message_id uuid NOT NULL,
    identity_id bigint NOT NULL,
    channel_id text NOT NULL,
    channel text NOT NULL,
    kind text NOT NULL CHECK (kind IN ('message', 'reaction', 'echo', 'send', 'broadcast')),
    event_time timestamptz NOT NULL,
    -- null: accepted
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
    decided_at timestamptz NOT NULL DEFAULT now(),
    -- tells a repeat from a conflict, also after the content is gone
    content_digest bigint NOT NULL,
    -- the message as it travels on messages.accepted, without the ids; null once erased
    body json,
    erase_at timestamptz,
    send_id uuid,
    generation int NOT NULL,
    -- The workspace is part of the hash that is the id: the key need not say it again.
    PRIMARY KEY (generation, message_id)
);
-- Each message is in exactly one of the two.
CREATE INDEX messages_accepted ON sluice_core.messages (generation, identity_id, event_time) WHERE drop_reason IS NULL;
CREATE INDEX messages_dropped ON sluice_core.messages (generation, identity_id, event_time) WHERE drop_reason IS NOT NULL;
CREATE INDEX messages_erasable ON sluice_core.messages (erase_at) WHERE erase_at IS NOT NULL;

CREATE TABLE sluice_core.message_conflicts (
    workspace_id text NOT NULL,
    message_id uuid NOT NULL,
    times bigint NOT NULL,
    last_at timestamptz NOT NULL,
    PRIMARY KEY (workspace_id, message_id)
);

INSERT INTO sluice_core.generations (generation, began_bytes) VALUES (0, pg_relation_size('sluice_core.messages_pkey'));
ANALYZE sluice_core.generations, sluice_core.message_fingerprints, sluice_core.contact_locks, sluice_core.messages;
