-- Monthly active contacts. mac_contacts is the truth: one row per active contact, with its proof. mac_shards is the
-- count, one row per writer, so that no two workers wait for one row; readers sum it.

CREATE TABLE sluice_core.mac_cycles (
    workspace_id text NOT NULL,
    cycle_start timestamptz NOT NULL,
    cycle_end timestamptz NOT NULL,
    status text NOT NULL DEFAULT 'open' CHECK (status IN ('open', 'closed')),
    closed_at timestamptz,
    revision bigint NOT NULL DEFAULT 1,
    PRIMARY KEY (workspace_id, cycle_start)
);

CREATE TABLE sluice_core.mac_contacts (
    workspace_id text NOT NULL,
    cycle_start timestamptz NOT NULL,
    contact_id uuid NOT NULL,
    first_message_id uuid NOT NULL,
    first_counted_at timestamptz NOT NULL,
    PRIMARY KEY (workspace_id, cycle_start, contact_id)
);

CREATE TABLE sluice_core.mac_shards (
    workspace_id text NOT NULL,
    cycle_start timestamptz NOT NULL,
    -- the input partition that wrote it, e.g. messages.inbound/3
    shard text NOT NULL,
    active_contacts bigint NOT NULL,
    revision bigint NOT NULL DEFAULT 1,
    PRIMARY KEY (workspace_id, cycle_start, shard)
);

CREATE TABLE sluice_core.mac_adjustments (
    adjustment_id bigint GENERATED ALWAYS AS IDENTITY,
    workspace_id text NOT NULL,
    cycle_start timestamptz NOT NULL,
    contact_id uuid NOT NULL,
    amount integer NOT NULL,
    cause text NOT NULL,
    at timestamptz NOT NULL DEFAULT now(),
    PRIMARY KEY (workspace_id, cycle_start, adjustment_id)
);

-- Keys of billing.mac whose topic record may be older than the rows; a row per writer, for the same reason as the
-- shards.
CREATE TABLE sluice_core.unpublished_cycles (
    workspace_id text NOT NULL,
    cycle_start timestamptz NOT NULL,
    shard text NOT NULL,
    revision bigint NOT NULL,
    PRIMARY KEY (workspace_id, cycle_start, shard)
);
