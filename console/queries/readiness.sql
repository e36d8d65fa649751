-- name: may
-- An owner of the schema may, without the role.
SELECT has_table_privilege('sluice_console.sessions', 'INSERT') AND has_table_privilege('sluice.sends', 'SELECT')
