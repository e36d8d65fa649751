-- Who uses the console and the API. Only the console reads and writes these tables.
CREATE SCHEMA sluice_console;
GRANT USAGE ON SCHEMA sluice_console TO sluice_console;
GRANT USAGE ON SCHEMA sluice TO sluice_console;

-- `name` is the actor of what a user gives. No password: a proxy names the user, or a link logs in.
CREATE TABLE sluice_console.users (
    user_id uuid PRIMARY KEY DEFAULT gen_random_uuid(),
    name text NOT NULL UNIQUE CHECK (length(name) BETWEEN 1 AND 128),
    role text NOT NULL CHECK (role IN ('owner', 'manager', 'agent')),
    restrictions text[] NOT NULL DEFAULT '{}',
    workspaces text[] NOT NULL DEFAULT '{}',
    is_operator boolean NOT NULL DEFAULT false,
    password_hash text,             -- argon2id
    created_at timestamptz NOT NULL DEFAULT now(),
    disabled_at timestamptz
);

-- Tokens of the API. A token is 256 random bits, so one SHA-256 of it is enough.
CREATE TABLE sluice_console.tokens (
    token_id uuid PRIMARY KEY DEFAULT gen_random_uuid(),
    name text NOT NULL CHECK (length(name) BETWEEN 1 AND 128),
    token_hash bytea NOT NULL UNIQUE,
    role text NOT NULL CHECK (role IN ('owner', 'manager', 'agent')),
    restrictions text[] NOT NULL DEFAULT '{}',
    workspaces text[] NOT NULL DEFAULT '{}',
    is_operator boolean NOT NULL DEFAULT false,
    created_at timestamptz NOT NULL DEFAULT now(),
    revoked_at timestamptz
);
-- The actor of what a token gives: a name can be used again only after its token was revoked.
CREATE UNIQUE INDEX ON sluice_console.tokens (name) WHERE revoked_at IS NULL;

-- Logins of the console. The cookie has the id; here is its SHA-256.
CREATE TABLE sluice_console.sessions (
    session_hash bytea PRIMARY KEY,
    user_id uuid NOT NULL REFERENCES sluice_console.users ON DELETE CASCADE,
    created_at timestamptz NOT NULL DEFAULT now(),
    expires_at timestamptz NOT NULL
);
CREATE INDEX ON sluice_console.sessions (user_id);
CREATE INDEX ON sluice_console.sessions (expires_at);

-- Links that log in once.
CREATE TABLE sluice_console.login_links (
    link_hash bytea PRIMARY KEY,
    user_id uuid NOT NULL REFERENCES sluice_console.users ON DELETE CASCADE,
    expires_at timestamptz NOT NULL
);

-- Logins that failed, by the digest of a name or of an address: they slow down the next ones.
CREATE TABLE sluice_console.failed_logins (
    subject bytea PRIMARY KEY,
    failures int NOT NULL,
    last_at timestamptz NOT NULL DEFAULT now()
);

GRANT SELECT, INSERT, UPDATE, DELETE ON ALL TABLES IN SCHEMA sluice_console TO sluice_console;
