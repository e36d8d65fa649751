-- name: lock_names
SELECT pg_advisory_xact_lock(hash)
FROM (
    SELECT DISTINCT hashtextextended(workspace_id || chr(31) || name_key, 7) AS hash
    FROM unnest($1::text[], $2::text[]) AS wanted (workspace_id, name_key)
    ORDER BY hash
) AS names

-- name: lock_profiles
-- The keys come sorted, and each is one look-up: a join could read all profiles.
SELECT p.* FROM unnest($1::text[], $2::text[]) AS wanted (workspace_id, profile_id)
CROSS JOIN LATERAL (
    SELECT p.workspace_id, p.profile_id, p.name, p.named_at, p.named_by, p.created_by, p.created_at, p.fields,
        p.written, p.status, p.status_at, p.status_by, p.companies_at, p.companies_by, p.deleted_at, p.deleted_by
    FROM profiles p
    WHERE p.workspace_id = wanted.workspace_id AND p.profile_id = wanted.profile_id LIMIT 1 FOR UPDATE
) AS p

-- name: profile_companies
SELECT workspace_id, profile_id, company_id, since
FROM profile_companies
WHERE (workspace_id, profile_id) IN (SELECT * FROM unnest($1::text[], $2::text[]))

-- name: named
SELECT workspace_id, name_key, profile_id
FROM profiles
WHERE (workspace_id, name_key) IN (SELECT * FROM unnest($1::text[], $2::text[])) AND deleted_at IS NULL

-- name: members
SELECT workspace_id, contact_id, profile_id
FROM contacts
WHERE (workspace_id, profile_id) IN (SELECT * FROM unnest($1::text[], $2::text[])) AND profile_id IS NOT NULL

-- name: sizes
SELECT workspace_id, profile_id, contacts
FROM profiles
WHERE (workspace_id, profile_id) IN (SELECT * FROM unnest($1::text[], $2::text[]))

-- name: resize
UPDATE profiles p SET contacts = p.contacts + new.change
FROM (SELECT * FROM unnest($1::text[], $2::text[], $3::integer[]) AS new (workspace_id, profile_id, change)
    ORDER BY workspace_id, profile_id) AS new
WHERE p.workspace_id = new.workspace_id AND p.profile_id = new.profile_id

-- name: lock_statuses
SELECT workspace_id, name, protected, protected_since, written_at, written_by
FROM profile_statuses
WHERE (workspace_id, name) IN (SELECT * FROM unnest($1::text[], $2::text[]))
ORDER BY workspace_id, name FOR UPDATE

-- name: lock_companies
SELECT workspace_id, company_id, name, named_at, named_by, protected, protected_since, protected_at, protected_by
FROM companies
WHERE (workspace_id, company_id) IN (SELECT * FROM unnest($1::text[], $2::text[]))
ORDER BY workspace_id, company_id FOR UPDATE

-- name: memberships
SELECT workspace_id, contact_id, profile_id, profile_at, profile_by
FROM contacts
WHERE (workspace_id, contact_id) IN (SELECT * FROM unnest($1::text[], $2::uuid[]))

-- name: add_profiles
INSERT INTO profiles (workspace_id, profile_id, created_by, created_at, name, name_key, name_grams, named_at, named_by,
    fields, written, status, status_at, status_by, companies_at, companies_by, deleted_at, deleted_by)
SELECT workspace_id, profile_id, created_by, created_at, name, name_key, name_grams(workspace_id, name_key), named_at,
    named_by, fields::json, written::json, status, status_at, status_by, companies_at, companies_by, deleted_at,
    deleted_by
FROM unnest($1::text[], $2::text[], $3::text[], $4::text[], $5::timestamptz[], $6::uuid[], $7::text[], $8::text[],
        $9::text[], $10::timestamptz[], $11::uuid[], $12::timestamptz[], $13::uuid[], $14::timestamptz[], $15::uuid[],
        $16::text[], $17::timestamptz[])
    AS new (workspace_id, profile_id, name, name_key, named_at, named_by, fields, written, status, status_at,
        status_by, companies_at, companies_by, deleted_at, deleted_by, created_by, created_at)
ORDER BY workspace_id, profile_id
ON CONFLICT DO NOTHING

-- name: save_profiles
UPDATE profiles p SET name = new.name, name_key = new.name_key, name_grams = CASE
        WHEN p.name_key = new.name_key THEN p.name_grams ELSE name_grams(new.workspace_id, new.name_key)
    END,
    named_at = new.named_at, named_by = new.named_by, fields = new.fields::json, written = new.written::json,
    status = new.status, status_at = new.status_at, status_by = new.status_by, companies_at = new.companies_at,
    companies_by = new.companies_by, deleted_at = new.deleted_at, deleted_by = new.deleted_by
FROM (SELECT * FROM unnest($1::text[], $2::text[], $3::text[], $4::text[], $5::timestamptz[], $6::uuid[], $7::text[],
        $8::text[], $9::text[], $10::timestamptz[], $11::uuid[], $12::timestamptz[], $13::uuid[], $14::timestamptz[],
        $15::uuid[])
    AS new (workspace_id, profile_id, name, name_key, named_at, named_by, fields, written, status, status_at,
        status_by, companies_at, companies_by, deleted_at, deleted_by)
    ORDER BY workspace_id, profile_id) AS new
WHERE p.workspace_id = new.workspace_id AND p.profile_id = new.profile_id

-- name: leave_companies
DELETE FROM profile_companies
WHERE (workspace_id, profile_id, company_id) IN (SELECT * FROM unnest($1::text[], $2::text[], $3::text[]))

-- name: join_companies
INSERT INTO profile_companies (workspace_id, profile_id, company_id, since)
SELECT workspace_id, profile_id, company_id, since
FROM unnest($1::text[], $2::text[], $3::text[], $4::timestamptz[]) AS new (workspace_id, profile_id, company_id, since)
ORDER BY workspace_id, profile_id, company_id

-- name: add_statuses
INSERT INTO profile_statuses (workspace_id, name, protected, protected_since, written_at, written_by)
SELECT workspace_id, name, protected, protected_since, written_at, written_by
FROM unnest($1::text[], $2::text[], $3::boolean[], $4::timestamptz[], $5::timestamptz[], $6::uuid[])
    AS new (workspace_id, name, protected, protected_since, written_at, written_by)
ORDER BY workspace_id, name
ON CONFLICT DO NOTHING

-- name: save_statuses
UPDATE profile_statuses s SET protected = new.protected, protected_since = new.protected_since,
    written_at = new.written_at, written_by = new.written_by
FROM (SELECT * FROM unnest($1::text[], $2::text[], $3::boolean[], $4::timestamptz[], $5::timestamptz[], $6::uuid[])
    AS new (workspace_id, name, protected, protected_since, written_at, written_by) ORDER BY workspace_id, name) AS new
WHERE s.workspace_id = new.workspace_id AND s.name = new.name

-- name: add_companies
INSERT INTO companies (workspace_id, company_id, name, named_at, named_by, protected, protected_since, protected_at,
    protected_by)
SELECT workspace_id, company_id, name, named_at, named_by, protected, protected_since, protected_at, protected_by
FROM unnest($1::text[], $2::text[], $3::text[], $4::timestamptz[], $5::uuid[], $6::boolean[], $7::timestamptz[],
        $8::timestamptz[], $9::uuid[])
    AS new (workspace_id, company_id, name, named_at, named_by, protected, protected_since, protected_at, protected_by)
ORDER BY workspace_id, company_id
ON CONFLICT DO NOTHING

-- name: save_companies
UPDATE companies c SET name = new.name, named_at = new.named_at, named_by = new.named_by, protected = new.protected,
    protected_since = new.protected_since, protected_at = new.protected_at, protected_by = new.protected_by
FROM (SELECT * FROM unnest($1::text[], $2::text[], $3::text[], $4::timestamptz[], $5::uuid[], $6::boolean[],
        $7::timestamptz[], $8::timestamptz[], $9::uuid[])
    AS new (workspace_id, company_id, name, named_at, named_by, protected, protected_since, protected_at, protected_by)
    ORDER BY workspace_id, company_id) AS new
WHERE c.workspace_id = new.workspace_id AND c.company_id = new.company_id

-- name: save_memberships
UPDATE contacts c SET profile_id = new.profile_id, profile_at = new.profile_at, profile_by = new.profile_by,
    revision = c.revision + CASE WHEN c.profile_id IS DISTINCT FROM new.profile_id THEN 1 ELSE 0 END
FROM (SELECT * FROM unnest($1::text[], $2::uuid[], $3::text[], $4::timestamptz[], $5::uuid[])
    AS new (workspace_id, contact_id, profile_id, profile_at, profile_by) ORDER BY workspace_id, contact_id) AS new
WHERE c.workspace_id = new.workspace_id AND c.contact_id = new.contact_id
