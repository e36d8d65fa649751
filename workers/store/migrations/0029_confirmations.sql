-- What people confirmed. It stays when the contact is deleted: it names no contact and holds no content.
CREATE TABLE sluice_core.send_confirmations (
    workspace_id text NOT NULL,
    send_id uuid NOT NULL,
    -- the id of the command, or `request`: the answer came with the request
    given_by text NOT NULL,
    confirmed_by text NOT NULL,
    role text,                      -- null: not known, the answer came with a request of somebody else
    confirmed_at timestamptz NOT NULL,
    -- of the content's JSON as it is dispatched
    content_sha256 bytea NOT NULL,
    -- codes of the reasons that the person was shown
    reasons text[] NOT NULL,
    outcome text NOT NULL CHECK (outcome IN ('released', 'held', 'refused')),
    PRIMARY KEY (workspace_id, send_id, given_by)
);
-- Evidence is never changed.
REVOKE UPDATE, DELETE ON sluice_core.send_confirmations FROM sluice_worker;
