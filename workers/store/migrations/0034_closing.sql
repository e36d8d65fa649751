-- Closing of billing cycles: which facts are on time, what is late, and how far the input is applied.

ALTER TABLE sluice_core.progress
    -- The highest Kafka timestamp of what is applied. Null: nothing was applied since this column exists.
    ADD COLUMN watermark timestamptz;

-- The end of each input partition in Kafka, as the billing worker read it last.
CREATE TABLE sluice_core.input_ends (
    topic text NOT NULL,
    partition int NOT NULL,
    end_offset bigint NOT NULL,
    read_at timestamptz NOT NULL,       -- a time before it was read
    PRIMARY KEY (topic, partition)
);

-- `recorded_at`: the watermark of the record that brought a fact. It decides whether the fact is in the closed figure of a cycle.
-- Null in rows from before it was kept: on time.
ALTER TABLE sluice_core.messages
    ADD COLUMN recorded_at timestamptz,
    ADD COLUMN release_recorded_at timestamptz;
ALTER TABLE sluice_core.parked_receipts ADD COLUMN recorded_at timestamptz;
ALTER TABLE sluice_core.block_commands ADD COLUMN recorded_at timestamptz;
ALTER TABLE sluice_core.merges
    ADD COLUMN recorded_at timestamptz,
    ADD COLUMN undo_recorded_at timestamptz;
ALTER TABLE sluice_core.settings_log
    ADD COLUMN recorded_at timestamptz,
    -- The end of the last cycle of the workspace that was closed when the value came: it holds for no earlier cycle. Null: none.
    ADD COLUMN not_before timestamptz,
    -- Where the workspace's first cycle began when the value came. Null: it had none.
    ADD COLUMN cycles_from timestamptz;

ALTER TABLE sluice_core.mac_cycles
    -- cycle_end and the hours of grace that hold for the cycle. Null: to be computed by the billing worker.
    ADD COLUMN closes_at timestamptz,
    -- The figure that was closed: the rows of mac_contacts and the shards are compared with it.
    ADD COLUMN closed_contacts bigint,
    -- The command that closed it, and its reason. Null: it closed by time.
    ADD COLUMN closed_by uuid,
    ADD COLUMN close_reason text;
CREATE INDEX mac_cycles_to_close ON sluice_core.mac_cycles (closes_at) WHERE status = 'open';

ALTER TABLE sluice_core.mac_adjustments ADD COLUMN fact_id text;

-- Facts that may make the count by all facts differ from the closed one, of this contact in this cycle. They never change
-- mac_contacts. Before the cycle closes, the contact is counted again by the facts that are on time (`settled`); afterwards the
-- difference becomes an adjustment, and the row goes.
CREATE TABLE sluice_core.late_facts (
    workspace_id text NOT NULL,
    cycle_start timestamptz NOT NULL,
    contact_id uuid NOT NULL,
    cause text NOT NULL CHECK (cause IN (
        'late_message', 'late_block', 'late_unblock', 'released', 'late_receipt', 'merge', 'undo_merge'
    )),
    fact_id text NOT NULL,
    at timestamptz NOT NULL DEFAULT now(),
    settled boolean NOT NULL DEFAULT false,
    PRIMARY KEY (workspace_id, cycle_start, contact_id, cause, fact_id)
) WITH (autovacuum_vacuum_scale_factor = 0, autovacuum_vacuum_threshold = 1000);
CREATE INDEX late_facts_to_settle ON sluice_core.late_facts (workspace_id, cycle_start, contact_id) WHERE NOT settled;
CREATE INDEX mac_cycles_forced ON sluice_core.mac_cycles (workspace_id, cycle_start) WHERE status = 'open' AND closed_by IS NOT NULL;
