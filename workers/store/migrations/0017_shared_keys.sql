-- Facts about one key that come from several input partitions and jobs: which came first, and what is not published yet.

CREATE SEQUENCE sluice_core.told;

ALTER TABLE sluice_core.owed
    ADD COLUMN seq bigint NOT NULL DEFAULT nextval('sluice_core.told'),
    ADD COLUMN shared bytea;    -- CRC-32 of topic and key of each such fact, four bytes each; null: none
CREATE INDEX owed_shared ON sluice_core.owed (seq) WHERE shared IS NOT NULL;

ALTER TABLE sluice_core.outbox ADD COLUMN seq bigint NOT NULL DEFAULT nextval('sluice_core.told');
CREATE INDEX outbox_by_key ON sluice_core.outbox USING hash (key);
