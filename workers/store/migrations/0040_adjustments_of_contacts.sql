-- Why a contact counts in a closed cycle, and what it was adjusted by so far.
CREATE INDEX mac_adjustments_contact ON sluice_core.mac_adjustments (workspace_id, cycle_start, contact_id);
