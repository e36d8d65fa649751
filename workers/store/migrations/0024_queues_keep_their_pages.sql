-- Rows of these two live for a poll or two, so vacuum finds their last pages empty every minute. To give those back it locks the
-- table against everybody, and a statement planned while there was no page at all reads the whole of what grows again.
ALTER TABLE sluice_core.owed SET (vacuum_truncate = false, toast.vacuum_truncate = false);
ALTER TABLE sluice_core.outbox SET (vacuum_truncate = false, toast.vacuum_truncate = false);
