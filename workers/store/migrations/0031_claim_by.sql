-- A dispatched attempt waits until `claim_by` for a claim and for a receipt. Then a job fails it, or makes it ambiguous if a
-- sender claimed it. Sends that are dispatched now get a day from now.
ALTER TABLE sluice_core.sends ADD COLUMN claim_by timestamptz;
UPDATE sluice_core.sends SET claim_by = now() + interval '1 day' WHERE status = 'dispatched';
-- A new send is put at its end, and leaves it with its first receipt.
CREATE INDEX sends_claim_by ON sluice_core.sends (claim_by) WHERE status = 'dispatched';

-- When the time of an attempt was over; its status is the job's, and any receipt replaces it. Null: it is not, or a receipt came.
ALTER TABLE sluice_core.send_attempts ADD COLUMN ran_out_at timestamptz;
