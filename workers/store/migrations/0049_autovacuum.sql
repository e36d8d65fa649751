-- By default autovacuum comes when a fifth of a table is dead. That is too late for both kinds of hot tables.

-- Few rows, each changed or replaced by every poll: what is dead soon outweighs what lives. And who waits in line is often nobody: vacuum
-- must not truncate, because that locks the table against everybody (0001_engine.sql).
ALTER TABLE sluice_core.unpublished_contacts SET (autovacuum_vacuum_scale_factor = 0, autovacuum_vacuum_threshold = 1000, vacuum_truncate = false);
ALTER TABLE sluice_core.unpublished_cycles SET (autovacuum_vacuum_scale_factor = 0, autovacuum_vacuum_threshold = 1000, vacuum_truncate = false);
ALTER TABLE sluice_core.inbox_news SET (autovacuum_vacuum_scale_factor = 0, autovacuum_vacuum_threshold = 1000, vacuum_truncate = false);
ALTER TABLE sluice_core.pending_work SET (autovacuum_vacuum_scale_factor = 0, autovacuum_vacuum_threshold = 1000, vacuum_truncate = false);
ALTER TABLE sluice_core.parked_receipts SET (autovacuum_vacuum_scale_factor = 0, autovacuum_vacuum_threshold = 1000, vacuum_truncate = false);
ALTER TABLE sluice_core.mac_shards SET (autovacuum_vacuum_scale_factor = 0, autovacuum_vacuum_threshold = 1000);
ALTER TABLE sluice_core.inbox_totals SET (autovacuum_vacuum_scale_factor = 0, autovacuum_vacuum_threshold = 1000);
ALTER TABLE sluice_core.mac_quarters SET (autovacuum_vacuum_scale_factor = 0.02, autovacuum_vacuum_threshold = 1000);

-- Millions of rows that change several times each: a fifth of ten million dead rows is gigabytes that every reader passes. A twentieth is
-- vacuumed four times as often, and each time a quarter of the work.
ALTER TABLE sluice_core.sends SET (autovacuum_vacuum_scale_factor = 0.05, autovacuum_analyze_scale_factor = 0.05);
ALTER TABLE sluice_core.send_attempts SET (autovacuum_vacuum_scale_factor = 0.05, autovacuum_analyze_scale_factor = 0.05);
ALTER TABLE sluice_core.contacts SET (autovacuum_vacuum_scale_factor = 0.05, autovacuum_analyze_scale_factor = 0.05);
ALTER TABLE sluice_core.identities SET (autovacuum_vacuum_scale_factor = 0.05, autovacuum_analyze_scale_factor = 0.05);
ALTER TABLE sluice_core.inbox_rows SET (autovacuum_vacuum_scale_factor = 0.05, autovacuum_analyze_scale_factor = 0.05);
ALTER TABLE sluice_core.workflow_runs SET (autovacuum_vacuum_scale_factor = 0.05, autovacuum_analyze_scale_factor = 0.05);
