-- What metrics ask for every few seconds.

-- How long an output waits to be published: `time` of an event may be older than its row.
ALTER TABLE sluice_core.batch_outbox ADD COLUMN stored_at timestamptz NOT NULL DEFAULT now();
ALTER TABLE sluice_core.outbox ADD COLUMN stored_at timestamptz NOT NULL DEFAULT now();

CREATE INDEX sends_ambiguous ON sluice_core.sends (updated_at) WHERE status = 'ambiguous';
