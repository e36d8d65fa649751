-- When a send was refused, rejected, expired or cancelled of which a receipt shows now that it left all the same. No attempt
-- follows, and none can be claimed, unless a person settles it so. Null: it did not, or an attempt was dispatched since.
ALTER TABLE sluice_core.sends ADD COLUMN ended_at timestamptz;
