-- Contacts that a command deleted. Their rows are gone; what belonged to them is erased in steps. What stays has ids
-- only: late messages and counts need to know whose a message was.

-- One row for each command that deleted contacts. A job erases their history and writes here how far it is.
CREATE TABLE sluice_core.deletions (
    workspace_id text NOT NULL,
    deletion_id uuid NOT NULL,          -- the id of the command
    requested_at timestamptz NOT NULL,  -- messages from before this moment are deleted
    contacts bigint NOT NULL,
    done bigint NOT NULL DEFAULT 0,     -- contacts whose history is erased
    letters_read bigint NOT NULL DEFAULT 0,     -- dead letters up to this id are searched for their addresses
    letters_until bigint,               -- the newest dead letter when the search began; null: it has not begun
    -- What was queued for Kafka when the history was erased, in both outboxes; null: not so far yet. The deletion is
    -- finished once it is published.
    batches_until bigint,
    events_until bigint,
    served_at timestamptz,              -- the last step; the deletion that waited longest is next
    finished_at timestamptz,
    PRIMARY KEY (workspace_id, deletion_id)
);
CREATE INDEX deletions_unfinished ON sluice_core.deletions (served_at NULLS FIRST, workspace_id, deletion_id)
    WHERE finished_at IS NULL AND events_until IS NULL;
CREATE INDEX deletions_queued ON sluice_core.deletions (events_until) WHERE finished_at IS NULL AND events_until IS NOT NULL;

CREATE TABLE sluice_core.deleted_contacts (
    workspace_id text NOT NULL,
    contact_id uuid NOT NULL,
    deletion_id uuid NOT NULL,
    deleted_at timestamptz NOT NULL,
    erased boolean NOT NULL DEFAULT false,
    PRIMARY KEY (workspace_id, contact_id)
);
CREATE INDEX deleted_contacts_to_erase ON sluice_core.deleted_contacts (workspace_id, deletion_id, contact_id)
    WHERE NOT erased;

-- Identities that are cut off: the address may belong to somebody else now. Messages still name the identity.
CREATE TABLE sluice_core.deleted_identities (
    workspace_id text NOT NULL,
    identity_id bigint NOT NULL,
    contact_id uuid NOT NULL,
    channel text NOT NULL,
    scope text NOT NULL,
    lookup text,                        -- null, as address: erased
    address text,
    began_at timestamptz,               -- as in identities; null ended_at: until the deletion
    ended_at timestamptz,
    -- where the erasure of its messages goes on
    generation int NOT NULL DEFAULT 0,
    event_time timestamptz NOT NULL DEFAULT '-infinity',
    erased boolean NOT NULL DEFAULT false,
    PRIMARY KEY (workspace_id, identity_id)
);
CREATE INDEX deleted_identities_contact ON sluice_core.deleted_identities (workspace_id, contact_id);
CREATE INDEX deleted_identities_lookup ON sluice_core.deleted_identities (lookup) WHERE lookup IS NOT NULL;
CREATE INDEX deleted_identities_spelled ON sluice_core.deleted_identities (address) WHERE address <> lookup;

-- The audit log no longer has names of profiles: they may be names of persons, and it outlives them.
UPDATE sluice_core.commands SET target = regexp_replace(target, ',?"profile_name":"(?:[^"\\]|\\.)*("|$)', '')
WHERE target LIKE '%"profile_name"%';
