-- Which process has a partition or a lease: its version, and since when it runs. Null: an older version took it.
ALTER TABLE sluice_core.progress
    ADD COLUMN owner_version text,
    ADD COLUMN owner_since timestamptz;

ALTER TABLE sluice_core.leases
    ADD COLUMN owner_version text,
    ADD COLUMN owner_since timestamptz;
