-- How many contacts a profile has. A limit on them is checked at each attachment, which must not count them all.
ALTER TABLE sluice_core.profiles ADD COLUMN contacts integer NOT NULL DEFAULT 0;
UPDATE sluice_core.profiles p SET contacts = counted.contacts
FROM (
    SELECT workspace_id, profile_id, count(*) AS contacts FROM sluice_core.contacts
    WHERE profile_id IS NOT NULL GROUP BY workspace_id, profile_id
) AS counted
WHERE p.workspace_id = counted.workspace_id AND p.profile_id = counted.profile_id;
