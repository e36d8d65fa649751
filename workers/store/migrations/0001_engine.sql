-- What the engine needs, whatever the workers do: who may apply a partition and how far it got, what waits to be
-- published, what could not be decoded, and work that one transaction cannot do.

-- `sluice` has the public views and functions, `sluice_core` the tables. `sluice migrate` has created `sluice_core` and
-- the roles. Workers write but own nothing; no login empties a table.
CREATE SCHEMA sluice;
GRANT USAGE ON SCHEMA sluice, sluice_core TO sluice_worker;
GRANT USAGE ON SCHEMA sluice TO sluice_reader, sluice_billing;
ALTER DEFAULT PRIVILEGES IN SCHEMA sluice_core GRANT SELECT, INSERT, UPDATE, DELETE ON TABLES TO sluice_worker;
ALTER DEFAULT PRIVILEGES IN SCHEMA sluice_core GRANT USAGE ON SEQUENCES TO sluice_worker;
ALTER DEFAULT PRIVILEGES IN SCHEMA sluice GRANT SELECT ON TABLES TO sluice_worker, sluice_reader;
GRANT SELECT ON sluice_core.migrations, sluice_core.repeatable_objects TO sluice_worker;

-- One row per input partition. Every transaction of a worker begins with a compare-and-set on its rows.
CREATE TABLE sluice_core.progress (
    topic text NOT NULL,
    partition int NOT NULL,
    consumer_group text NOT NULL,
    lease uuid,                     -- random token of the owner; null: nobody
    owner text,
    generation int NOT NULL,        -- of the consumer group, when the lease was taken
    backend_pid int,
    backend_start timestamptz,      -- with the pid: pids are used again
    next_offset bigint,             -- null: nothing applied yet
    -- The last record that a consumer was given; with its timestamp (milliseconds) and CRC it tells a topic that was
    -- created again. Behind it may lie control records and aborted transactions. Null: next_offset - 1.
    last_offset bigint,
    last_timestamp bigint,
    last_crc bigint,
    -- These find a record that ends its owners again and again; it becomes a dead letter.
    orphaned boolean NOT NULL DEFAULT false,    -- the lease was taken from somebody who had not given it back
    tried_until bigint,                         -- what lies before it was tried; counts while it is beyond next_offset
    tried_times int NOT NULL DEFAULT 0,         -- owners in a row that tried a record alone; 0: it was several
    updated_at timestamptz NOT NULL DEFAULT now(),
    PRIMARY KEY (topic, partition)
) WITH (fillfactor = 50, autovacuum_vacuum_scale_factor = 0, autovacuum_vacuum_threshold = 1000);

-- The order of events about one key that come from several input partitions and jobs.
CREATE SEQUENCE sluice_core.outbox_seq;

-- The batch outbox: the events of one poll and partition in one compressed row. Rows live for a poll or two, so vacuum
-- finds the last pages empty every minute. It must not truncate: that locks the table against everybody, and a
-- statement planned while there was no page at all reads the whole of what grows again. The same holds for `outbox`.
CREATE TABLE sluice_core.batch_outbox (
    topic text NOT NULL,
    partition int NOT NULL,
    next_offset bigint NOT NULL,    -- of the batch that caused the events: ascending is the order to publish in
    events bytea NOT NULL,
    seq bigint NOT NULL DEFAULT nextval('sluice_core.outbox_seq'),
    shared_keys bytea,              -- CRC-32 of topic and key of each event about a shared key, four bytes each; null: none
    PRIMARY KEY (topic, partition, next_offset)
) WITH (
    fillfactor = 70, autovacuum_vacuum_scale_factor = 0, autovacuum_vacuum_threshold = 1000,
    vacuum_truncate = false, toast.vacuum_truncate = false
);
ALTER TABLE sluice_core.batch_outbox ALTER COLUMN events SET STORAGE EXTERNAL;     -- it is compressed already
CREATE INDEX batch_outbox_shared_keys ON sluice_core.batch_outbox (seq) WHERE shared_keys IS NOT NULL;

-- The ordinary outbox: events that no input record causes. One shard for all events of a key keeps their order.
CREATE TABLE sluice_core.outbox (
    id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    shard smallint
        GENERATED ALWAYS AS ((hashtextextended(encode(coalesce(key, ''::bytea), 'hex'), 0) & 3)::smallint) STORED,
    topic text NOT NULL,            -- without prefix
    key bytea,                      -- null: a dead letter whose record had none
    value bytea,                    -- null: a tombstone
    ce_id uuid NOT NULL,
    workspace_id text NOT NULL,
    time timestamptz NOT NULL,
    traceparent bytea,
    headers bytea,                  -- MessagePack: [[name, value], …]; null: none
    seq bigint NOT NULL DEFAULT nextval('sluice_core.outbox_seq')
) WITH (
    autovacuum_vacuum_scale_factor = 0, autovacuum_vacuum_threshold = 1000,
    vacuum_truncate = false, toast.vacuum_truncate = false
);
CREATE INDEX outbox_by_shard ON sluice_core.outbox (shard, id);
CREATE INDEX outbox_by_key ON sluice_core.outbox USING hash (key);

-- How far compaction repair compared each partition of a compacted topic with the rows.
CREATE TABLE sluice_core.compaction_positions (
    topic text NOT NULL,
    partition int NOT NULL,
    next_offset bigint NOT NULL,
    PRIMARY KEY (topic, partition)
);
-- A repair marks its key with a revision that no row has: a publication under way does not clear it.
CREATE SEQUENCE sluice_core.repair_revisions;

-- Who runs a timed job or publishes a shard; time is the database's.
CREATE TABLE sluice_core.leases (
    name text PRIMARY KEY,
    token uuid NOT NULL,
    owner text NOT NULL,
    expires_at timestamptz NOT NULL,
    last_run_at timestamptz
) WITH (fillfactor = 50);

CREATE TABLE sluice_core.dead_letters (
    id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    source_topic text NOT NULL,
    source_partition int NOT NULL,
    source_offset bigint NOT NULL,
    error text NOT NULL,
    first_seen timestamptz NOT NULL DEFAULT now(),
    attempts int NOT NULL DEFAULT 1,
    status text NOT NULL DEFAULT 'new' CHECK (status IN ('new', 'replayed', 'dismissed')),
    key bytea,
    value bytea,                    -- null: it was null, too large to keep, or erased
    headers bytea,                  -- MessagePack: [[name, value], …]
    -- Tells whether a record that says it is a replayed dead letter is that record, also once the content is erased.
    digest bytea,
    erased_at timestamptz,
    UNIQUE (source_topic, source_partition, source_offset)
);
CREATE INDEX dead_letters_to_erase ON sluice_core.dead_letters (first_seen) WHERE erased_at IS NULL;
CREATE INDEX dead_letters_to_forget ON sluice_core.dead_letters (erased_at)
    WHERE digest IS NOT NULL AND erased_at IS NOT NULL;

-- What a command leads to and is too much for one transaction: one job does it in steps, workspace by workspace.
CREATE TABLE sluice_core.pending_work (
    workspace_id text NOT NULL,
    kind text NOT NULL,             -- which step continues it
    subject text NOT NULL,          -- a contact, a run, a group
    command_id uuid NOT NULL,       -- what led to it
    details json NOT NULL DEFAULT '{}',     -- what else a step has to know
    cursor text,                    -- where the next step begins, as its kind writes it; null: at the beginning
    done bigint NOT NULL DEFAULT 0, -- of `total`, as its kind counts
    total bigint NOT NULL,
    asked_at timestamptz NOT NULL DEFAULT now(),
    -- The order of requests: times may be equal, and transactions that wait for each other do not end in the order of
    -- their times.
    number bigint GENERATED ALWAYS AS IDENTITY,
    PRIMARY KEY (workspace_id, kind, subject, command_id)
);
CREATE UNIQUE INDEX pending_work_number ON sluice_core.pending_work (workspace_id, number);

-- The workspace that was served longest ago is next. Only the job writes here.
CREATE TABLE sluice_core.work_turns (
    workspace_id text PRIMARY KEY,
    served_at timestamptz NOT NULL
);
