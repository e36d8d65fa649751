-- A send keeps the hashes of its address by the keys of its time. When a hash is renewed, the one by the old key stays for
-- two weeks: sends that wait are found by it.
ALTER TABLE sluice_core.address_hashes ADD COLUMN former_hash bytea;
CREATE INDEX address_hashes_former ON sluice_core.address_hashes (workspace_id, former_hash) WHERE former_hash IS NOT NULL;
CREATE INDEX address_hashes_outdated ON sluice_core.address_hashes (forget_at) WHERE former_hash IS NOT NULL;
