-- Customers and what protects them. Each value carries the (issued_at, command_id) that wrote it: the later write wins.
-- *_since says when a protection began, for confirmations given together with the request.

CREATE TABLE sluice_core.profile_statuses (
    workspace_id text NOT NULL,
    name text NOT NULL,
    protected boolean NOT NULL,
    protected_since timestamptz,
    written_at timestamptz NOT NULL,
    written_by uuid NOT NULL,
    PRIMARY KEY (workspace_id, name)
);

CREATE TABLE sluice_core.companies (
    workspace_id text NOT NULL,
    company_id text NOT NULL,
    name text NOT NULL,
    named_at timestamptz NOT NULL,
    named_by uuid NOT NULL,
    protected boolean NOT NULL DEFAULT false,
    protected_since timestamptz,
    protected_at timestamptz,
    protected_by uuid,
    PRIMARY KEY (workspace_id, company_id)
);

CREATE TABLE sluice_core.profiles (
    workspace_id text NOT NULL,
    profile_id text NOT NULL,
    name text NOT NULL,
    -- trimmed, NFC, case-folded
    name_key text NOT NULL,
    status text,
    status_at timestamptz,
    status_by uuid,
    companies_at timestamptz,
    companies_by uuid,
    fields json NOT NULL DEFAULT '{}',
    created_by text NOT NULL,
    created_at timestamptz NOT NULL,
    PRIMARY KEY (workspace_id, profile_id)
);
CREATE INDEX profiles_name ON sluice_core.profiles (workspace_id, name_key);

CREATE TABLE sluice_core.profile_companies (
    workspace_id text NOT NULL,
    profile_id text NOT NULL,
    company_id text NOT NULL,
    since timestamptz NOT NULL,
    PRIMARY KEY (workspace_id, profile_id, company_id)
);
CREATE INDEX profile_companies_company ON sluice_core.profile_companies (workspace_id, company_id);
