-- What contacts are suggested for merging by, kept up to date by the publisher of contacts.changes.

-- With the contact last: those who share a value are read in the order of their ids, and no further than wanted.
DROP INDEX sluice_core.contacts_phone, sluice_core.contacts_email;
CREATE INDEX contacts_phone ON sluice_core.contacts (workspace_id, (coalesce(edited ->> 'phone', phone)), contact_id)
    WHERE coalesce(edited ->> 'phone', phone) IS NOT NULL;
CREATE INDEX contacts_email ON sluice_core.contacts (workspace_id, lower(coalesce(edited ->> 'email', email)), contact_id)
    WHERE coalesce(edited ->> 'email', email) IS NOT NULL;

-- What a contact could be reached by when it was published last: its field, and its identities of such channels.
CREATE TABLE sluice_core.contact_index (
    workspace_id text NOT NULL,
    contact_id uuid NOT NULL,
    phones text[] NOT NULL,
    emails text[] NOT NULL,
    PRIMARY KEY (workspace_id, contact_id)
);

-- Values that two or more contacts of contact_index have, blocked ones too.
CREATE TABLE sluice_core.shared_values (
    workspace_id text NOT NULL,
    field text NOT NULL,    -- phone or email
    value text NOT NULL,
    PRIMARY KEY (workspace_id, field, value)
);

INSERT INTO sluice_core.contact_index (workspace_id, contact_id, phones, emails)
SELECT c.workspace_id, c.contact_id,
    ARRAY(
        SELECT coalesce(c.edited ->> 'phone', c.phone) WHERE coalesce(c.edited ->> 'phone', c.phone) IS NOT NULL
        UNION
        SELECT i.lookup FROM sluice_core.identities i
        WHERE i.workspace_id = c.workspace_id AND i.contact_id = c.contact_id AND i.channel IN ('whatsapp', 'sms')
        ORDER BY 1
    ),
    ARRAY(
        SELECT lower(coalesce(c.edited ->> 'email', c.email)) WHERE coalesce(c.edited ->> 'email', c.email) IS NOT NULL
        UNION
        SELECT i.lookup FROM sluice_core.identities i
        WHERE i.workspace_id = c.workspace_id AND i.contact_id = c.contact_id AND i.channel = 'email'
        ORDER BY 1
    )
FROM sluice_core.contacts c
ORDER BY c.workspace_id, c.contact_id;

INSERT INTO sluice_core.shared_values (workspace_id, field, value)
SELECT x.workspace_id, v.field, v.value
FROM sluice_core.contact_index x
CROSS JOIN LATERAL (
    SELECT 'phone' AS field, value FROM unnest(x.phones) AS value UNION ALL SELECT 'email', value FROM unnest(x.emails) AS value
) AS v
GROUP BY x.workspace_id, v.field, v.value
HAVING count(*) > 1
ORDER BY 1, 2, 3;
