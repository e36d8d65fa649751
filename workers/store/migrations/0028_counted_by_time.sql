-- On an expression that only counted_page asks for. While the table had no statistics, PostgreSQL took the index on the plain columns
-- for look-ups of contacts, and read the whole cycle.
DROP INDEX sluice_core.mac_contacts_by_time;
CREATE INDEX mac_contacts_by_time ON sluice_core.mac_contacts ((workspace_id || ''), cycle_start, first_counted_at, contact_id);
