-- What people write into contacts, beside what the channels say: fields, custom fields, tags.

ALTER TABLE sluice_core.contacts
    -- {field: value}, shown in place of the channel's value; null: nobody wrote one
    ADD COLUMN edited jsonb,
    -- {field: [issued_at, command_id]} of the last write of each value, cleared ones too; custom fields as custom.NAME
    ADD COLUMN written jsonb;

-- By what is shown: the expression of `shown`, which an index cannot call, because it is made again with every release.
DROP INDEX sluice_core.contacts_phone, sluice_core.contacts_email;
CREATE INDEX contacts_phone ON sluice_core.contacts (workspace_id, (coalesce(edited ->> 'phone', phone)))
    WHERE coalesce(edited ->> 'phone', phone) IS NOT NULL;
CREATE INDEX contacts_email ON sluice_core.contacts (workspace_id, lower(coalesce(edited ->> 'email', email)))
    WHERE coalesce(edited ->> 'email', email) IS NOT NULL;

CREATE TABLE sluice_core.field_definitions (
    workspace_id text NOT NULL,
    scope text NOT NULL CHECK (scope IN ('contact', 'profile')),
    name text NOT NULL,
    type text NOT NULL,
    options text[] NOT NULL,    -- empty for all types but list
    written_at timestamptz NOT NULL,
    written_by uuid NOT NULL,
    PRIMARY KEY (workspace_id, scope, name)
);

CREATE TABLE sluice_core.tags (
    workspace_id text NOT NULL,
    tag text NOT NULL,
    PRIMARY KEY (workspace_id, tag)
);

-- The last command about a tag of a contact. A removed tag stays as a row, so that an older command adds nothing.
CREATE TABLE sluice_core.contact_tags (
    workspace_id text NOT NULL,
    contact_id uuid NOT NULL,
    tag text NOT NULL,
    present boolean NOT NULL,
    written_at timestamptz NOT NULL,
    written_by uuid NOT NULL,
    PRIMARY KEY (workspace_id, contact_id, tag)
);
CREATE INDEX contact_tags_present ON sluice_core.contact_tags (workspace_id, tag, contact_id) WHERE present;
