-- Compacted topics are read back, to repair what a late writer left there; parked receipts are kept as they came, so that
-- those nobody claims can be published as dead letters.

-- How far each partition of a compacted topic was compared with the rows.
CREATE TABLE sluice_core.tails (
    topic text NOT NULL,
    partition int NOT NULL,
    next_offset bigint NOT NULL,
    PRIMARY KEY (topic, partition)
);

-- A repair marks its key with a revision that no row has: a publication under way does not clear it.
CREATE SEQUENCE sluice_core.repairs;

-- A dead letter keeps its record's headers, and has no key where the record had none.
DROP INDEX sluice_core.outbox_by_shard;
ALTER TABLE sluice_core.outbox DROP COLUMN shard;
ALTER TABLE sluice_core.outbox
    ALTER COLUMN key DROP NOT NULL,
    ADD COLUMN headers bytea,       -- MessagePack: [[name, value], …]; null: none
    ADD COLUMN shard smallint
        GENERATED ALWAYS AS ((hashtextextended(encode(coalesce(key, ''::bytea), 'hex'), 0) & 3)::smallint) STORED;
CREATE INDEX outbox_by_shard ON sluice_core.outbox (shard, id);

ALTER TABLE sluice_core.parked_receipts
    ALTER COLUMN key TYPE bytea USING decode(key, 'hex'),
    ADD COLUMN value bytea,         -- the record, byte for byte
    ADD COLUMN headers bytea;       -- MessagePack: [[name, value], …]; null: none
UPDATE sluice_core.parked_receipts SET value = convert_to(receipt::text, 'UTF8');
ALTER TABLE sluice_core.parked_receipts ALTER COLUMN value SET NOT NULL, DROP COLUMN receipt;
