-- What the engine itself needs, whatever the workers do: who may apply which partition and how far it got, what is
-- owed to Kafka, and what could not be understood.

CREATE SCHEMA sluice;

-- Roles belong to the whole server: another database of the same server may have made them.
DO $$
DECLARE wanted text;
BEGIN
    FOREACH wanted IN ARRAY ARRAY['sluice_worker', 'sluice_reader', 'sluice_billing'] LOOP
        BEGIN
            IF NOT EXISTS (SELECT FROM pg_roles WHERE rolname = wanted) THEN
                EXECUTE format('CREATE ROLE %I NOLOGIN', wanted);
            END IF;
        EXCEPTION WHEN duplicate_object OR unique_violation THEN
            NULL;
        END;
    END LOOP;
END $$;

GRANT USAGE ON SCHEMA sluice, sluice_core TO sluice_worker;
GRANT USAGE ON SCHEMA sluice TO sluice_reader, sluice_billing;
ALTER DEFAULT PRIVILEGES IN SCHEMA sluice_core GRANT SELECT, INSERT, UPDATE, DELETE, TRUNCATE ON TABLES TO sluice_worker;
ALTER DEFAULT PRIVILEGES IN SCHEMA sluice_core GRANT USAGE ON SEQUENCES TO sluice_worker;
ALTER DEFAULT PRIVILEGES IN SCHEMA sluice GRANT SELECT ON TABLES TO sluice_worker, sluice_reader;
GRANT SELECT ON sluice_core.migrations TO sluice_worker;

-- One row per input partition; every transaction of a worker begins with a compare-and-set on its rows.
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
    last_timestamp bigint,          -- of the record at next_offset - 1, in milliseconds: tells a topic made anew
    last_crc bigint,
    updated_at timestamptz NOT NULL DEFAULT now(),
    PRIMARY KEY (topic, partition)
) WITH (fillfactor = 50, autovacuum_vacuum_scale_factor = 0, autovacuum_vacuum_threshold = 1000);

-- The batch outbox: the outputs of one poll and partition in one compressed row.
CREATE TABLE sluice_core.owed (
    topic text NOT NULL,
    partition int NOT NULL,
    next_offset bigint NOT NULL,    -- of the batch that owes it: ascending is the order to publish in
    outputs bytea NOT NULL,
    PRIMARY KEY (topic, partition, next_offset)
) WITH (fillfactor = 70, autovacuum_vacuum_scale_factor = 0, autovacuum_vacuum_threshold = 1000);
ALTER TABLE sluice_core.owed ALTER COLUMN outputs SET STORAGE EXTERNAL;

-- The ordinary outbox: facts that no input record causes. One shard for all facts of a key keeps their order.
CREATE TABLE sluice_core.outbox (
    id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    shard smallint GENERATED ALWAYS AS ((hashtextextended(encode(key, 'hex'), 0) & 3)::smallint) STORED,
    topic text NOT NULL,            -- without prefix
    key bytea NOT NULL,
    value bytea,                    -- null: a tombstone
    ce_id uuid NOT NULL,
    workspace_id text NOT NULL,
    time timestamptz NOT NULL,
    traceparent bytea
) WITH (autovacuum_vacuum_scale_factor = 0, autovacuum_vacuum_threshold = 1000);
CREATE INDEX outbox_by_shard ON sluice_core.outbox (shard, id);

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
    erased_at timestamptz,
    UNIQUE (source_topic, source_partition, source_offset)
);
CREATE INDEX dead_letters_to_erase ON sluice_core.dead_letters (first_seen) WHERE erased_at IS NULL;

CREATE VIEW sluice.partition_progress AS
SELECT consumer_group, topic, partition, owner, next_offset, updated_at
FROM sluice_core.progress
WHERE next_offset IS NOT NULL;

CREATE VIEW sluice.dead_letters AS
SELECT id, source_topic, source_partition, source_offset, error, first_seen, attempts, status
FROM sluice_core.dead_letters;
