-- Work that grows with what is stored.

-- name: disable_timeout
-- Before PostgreSQL 17 there is no such limit.
SELECT set_config(name, '0', true) FROM pg_settings WHERE name = 'transaction_timeout'
