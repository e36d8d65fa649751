-- Contacts that are not deleted. The rows of those that were deleted with many others are there until a step cuts them
-- off; there are mostly none, and then the look-up is in an empty index. OFFSET 0 keeps PostgreSQL from reading all of it
-- where there are many.
CREATE VIEW sluice_core.living_contacts AS
SELECT c.* FROM sluice_core.contacts c
WHERE NOT EXISTS (
    SELECT FROM sluice_core.deleted_contacts d
    WHERE d.workspace_id = c.workspace_id AND d.contact_id = c.contact_id AND NOT d.cut_off OFFSET 0
);
