-- The provider told the sender of this attempt to slow down, and takes no other one before this time: of several receipts the
-- latest time. Null: it did not. If such an attempt failed, and not permanently, it does not count towards the five of its send.
ALTER TABLE sluice_core.send_attempts ADD COLUMN not_before timestamptz;
