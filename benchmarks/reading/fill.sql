-- A large workspace and @tenants@ small ones, on top of stored.sql: what else there is to read about its people. Values take the
-- place of @names@; of sends, commands and the like there are as many for each contact at every size.

SET synchronous_commit = off;
SET maintenance_work_mem = '512MB';
SET work_mem = '128MB';
SET TIME ZONE 'UTC';
SET search_path = sluice_core, sluice, pg_temp;
SET jit = off;

CREATE FUNCTION pg_temp.made(kind text, n bigint) RETURNS uuid LANGUAGE sql STABLE
    RETURN md5(kind || n)::uuid;

-- Small workspaces: fifty people with four messages each.
INSERT INTO workspaces (workspace_id, first_message_at)
SELECT 'tenant-' || t, timestamptz '@now@' - interval '20 days' FROM generate_series(1, @tenants@) t;
INSERT INTO channels (workspace_id, channel_id, channel)
SELECT 'tenant-' || t, 'wa-main', 'whatsapp' FROM generate_series(1, @tenants@) t;
INSERT INTO contacts (workspace_id, contact_id, display_name, first_name, country, language, phone, opened_at, counted_at)
SELECT 'tenant-' || t, pg_temp.made('t' || t || '-', n), 'Guest ' || n, 'Guest ' || n, 'DE', 'de', '+49151' || 90000000 + n,
    timestamptz '@now@' - n * interval '1 hour', timestamptz '@now@' - n * interval '1 hour'
FROM generate_series(1, @tenants@) t, generate_series(1, 50) n;
INSERT INTO identities (workspace_id, channel, scope, lookup, address, contact_id, channel_id, connected_at)
SELECT workspace_id, 'whatsapp', '', phone, phone, contact_id, 'wa-main', opened_at FROM contacts WHERE workspace_id LIKE 'tenant-%';
INSERT INTO messages (generation, workspace_id, message_id, identity_id, channel_id, channel, kind, event_time, counted,
    content_digest, body)
SELECT (SELECT max(generation) FROM generations), i.workspace_id, gen_random_uuid(), i.identity_id, 'wa-main', 'whatsapp', 'message',
    i.connected_at - n * interval '1 minute', true, 0, '{"content":{"type":"text","text":"Good morning"}}'
FROM identities i, generate_series(0, 3) n WHERE i.workspace_id LIKE 'tenant-%';
INSERT INTO mac_contacts (workspace_id, cycle_start, contact_id, first_message_id, first_counted_at)
SELECT workspace_id, date_trunc('month', connected_at), contact_id, gen_random_uuid(), connected_at
FROM identities WHERE workspace_id LIKE 'tenant-%';
INSERT INTO mac_shards (workspace_id, cycle_start, shard, active_contacts)
SELECT workspace_id, cycle_start, 'messages.inbound/0', count(*) FROM mac_contacts WHERE workspace_id LIKE 'tenant-%' GROUP BY 1, 2;
INSERT INTO mac_cycles (workspace_id, cycle_start, cycle_end)
SELECT DISTINCT workspace_id, cycle_start, cycle_start + interval '1 month' FROM mac_shards WHERE workspace_id LIKE 'tenant-%';

-- The people of the large one: names, e-mail addresses of every second, one in fifty of them shared by two; a third has somebody
-- assigned, one conversation in five is open, one in fifty snoozed, one person in a hundred blocked.
CREATE TEMP TABLE people AS
SELECT i, pg_temp.made('c', i) AS contact_id,
    (ARRAY['Anna','Ben','Clara','David','Emma','Felix','Greta','Hugo','Ida','Jonas','Klara','Luis','Mia','Noah','Olga','Paul','李雷',
        'Роза','Sofia','Theo'])[1 + i % 20] AS first_name,
    (ARRAY['Schmidt','Müller','Garcia','Rossi','Kowalski','Nguyen','Smith','Jones','Andersen','Dubois'])[1 + i / 20 % 10]
        || '-' || to_hex(i * 2654435761 % 4294967296) AS last_name,
    CASE WHEN i % 2 = 0 THEN 'user' || CASE WHEN i % 50 = 0 THEN i / 100 ELSE i END || '@example.org' END AS email,
    CASE WHEN i % 3 = 0 THEN 'agent-' || i / 3 % 200 END AS assignee,
    timestamptz '@now@' - interval '90 minutes' AS since
FROM generate_series(0, @contacts@ - 1) i;
CREATE UNIQUE INDEX ON people (contact_id);
ANALYZE people;
UPDATE contacts c SET display_name = p.first_name || ' ' || p.last_name, first_name = p.first_name, last_name = p.last_name,
    email = p.email, assignee = p.assignee,
    closed_at = CASE WHEN i % 5 > 0 THEN c.opened_at + interval '1 minute' END,
    snoozed_at = CASE WHEN i % 50 = 0 THEN p.since END,
    snoozed_until = CASE WHEN i % 50 = 0 THEN timestamptz '@now@' + interval '10 years' END,
    profile_id = CASE WHEN i < 4 THEN 'p-large' WHEN i % 3 = 1 THEN 'p-' || i / 3 % (@contacts@ / 10) END,
    profile_at = CASE WHEN i < 4 OR i % 3 = 1 THEN p.since END,
    blocks = CASE WHEN i % 100 = 7 THEN ARRAY[tstzrange(p.since, NULL)] ELSE '{}' END,
    blocked_at = CASE WHEN i % 100 = 7 THEN p.since END, blocked_by = CASE WHEN i % 100 = 7 THEN 'olga' END
FROM people p WHERE c.workspace_id = 'acme' AND c.contact_id = p.contact_id;
-- One in ten more was imported by number alone, and never wrote.
INSERT INTO contacts (workspace_id, contact_id, phone)
SELECT 'acme', pg_temp.made('y', n), '+49152' || 20000000 + n FROM generate_series(0, @contacts@ / 10 - 1) n;
INSERT INTO block_commands (workspace_id, contact_id, issued_at, unblocks, command_id, actor_id)
SELECT 'acme', contact_id, since, false, gen_random_uuid(), 'olga' FROM people WHERE i % 100 = 7;
INSERT INTO identities (workspace_id, channel, scope, lookup, address, contact_id, channel_id, connected_at)
SELECT 'acme', 'email', '', email, email, contact_id, 'mail', since FROM people WHERE i % 4 = 2 ON CONFLICT DO NOTHING;
INSERT INTO channels (workspace_id, channel_id, channel) VALUES ('acme', 'mail', 'email'), ('acme', 'sms', 'sms');

INSERT INTO profile_statuses (workspace_id, name, protected, protected_since, written_at, written_by)
SELECT 'acme', name, name = 'offer sent', timestamptz '@now@' - interval '60 days', now(), gen_random_uuid()
FROM unnest(ARRAY['lead', 'customer', 'offer sent', 'lost', 'partner']) AS name;
INSERT INTO companies (workspace_id, company_id, name, named_at, named_by, protected)
SELECT 'acme', 'co-' || n, 'Company ' || n, now(), gen_random_uuid(), n % 50 = 0 FROM generate_series(1, 500) n;
INSERT INTO profiles (workspace_id, profile_id, name, name_key, name_grams, status, created_by, created_at, contacts)
SELECT 'acme', 'p-' || n, name, lower(name), name_grams('acme', lower(name)),
    (ARRAY['lead', 'customer', 'offer sent', 'lost', 'partner'])[1 + n / 5 % 5], 'olga', timestamptz '@now@' - n * interval '1 minute', 4
FROM (SELECT n, (ARRAY['Family','House','Team','Practice','Garage'])[1 + n % 5] || ' ' || to_hex(n::bigint * 2654435761 % 4294967296) AS name
    FROM generate_series(0, @contacts@ / 10 - 1) n) AS named;
INSERT INTO profiles (workspace_id, profile_id, name, name_key, status, created_by, created_at, contacts)
VALUES ('acme', 'p-large', 'Very large', 'very large', 'lead', 'olga', now(), 4);
INSERT INTO profile_companies (workspace_id, profile_id, company_id, since)
SELECT 'acme', 'p-' || n, 'co-' || 1 + n / 7 % 500, now() FROM generate_series(0, @contacts@ / 10 - 1, 7) n;

INSERT INTO tags SELECT 'acme', 'tag ' || t FROM generate_series(0, 9) t;
INSERT INTO contact_tags (workspace_id, contact_id, tag, present, written_at, written_by)
SELECT 'acme', contact_id, 'tag ' || i / 3 % 10, true, since, gen_random_uuid() FROM people WHERE i % 3 = 0;
INSERT INTO comments (workspace_id, contact_id, written_at, comment_id, author, text)
SELECT 'acme', contact_id, since, gen_random_uuid(), 'olga', 'Called back' FROM people WHERE i % 20 = 0;

-- The first contact has @long@ messages more, and a profile of four has twice as many; all spread over the generations.
INSERT INTO messages (generation, workspace_id, message_id, identity_id, channel_id, channel, kind, event_time, counted,
    content_digest, body)
SELECT m.generation, 'acme', pg_temp.made('l' || person, n), person + 1, 'wa-main', 'whatsapp', 'message', m.at, true, 0,
    '{"content":{"type":"text","text":"One of very many messages that this person has written over the last three months."}}'
FROM unnest(ARRAY[0, 1, 2, 3], ARRAY[@long@, @long@ / 3, @long@ / 3, @long@ / 3]) AS many (person, number)
CROSS JOIN LATERAL (
    SELECT n, timestamptz '@now@' - interval '2 hours' - (1 - n / number::float8) * interval '89 days' AS at
    FROM generate_series(0, number - 1) n
) AS dated
CROSS JOIN LATERAL (
    SELECT g.generation, dated.at FROM generations g WHERE g.last_event >= dated.at ORDER BY g.last_event, g.generation LIMIT 1
) AS m;
-- What blocked people wrote.
INSERT INTO messages (generation, workspace_id, message_id, identity_id, channel_id, channel, kind, event_time, counted, mac_rule,
    drop_reason, block_start, decided_at, content_digest)
SELECT (SELECT max(generation) FROM generations), 'acme', pg_temp.made('d', i), i + 1, 'wa-main', 'whatsapp', 'message',
    since + (i::float8 / @contacts@) * interval '80 minutes', true, 'next_cycle', 'contact_blocked', since,
    since + (i::float8 / @contacts@) * interval '80 minutes', 0
FROM people WHERE i % 10 = 7;

-- Sends of the last month: one in twenty-five held, one in fifty failed, a thousand in a group.
INSERT INTO sends (workspace_id, send_id, group_id, contact_id, channel, channel_id, scope, lookup, address, content, source,
    requested_by, requested_role, requested_at, status, reason, reasons, reason_keys, attempt, best_attempt, held_at, expires_at,
    first_dispatched_at, accepted_at, applied_at, updated_at)
SELECT 'acme', pg_temp.made('s', n), CASE WHEN n % 2 = 0 THEN 'group-' || n / 2000 END, c.contact_id, 'whatsapp', 'wa-main', '', c.phone,
    c.phone, '{"type":"text","text":"Good news: your blue chair has left our warehouse this morning."}', 'broadcast', 'olga', 'agent', at,
    CASE WHEN n % 25 = 0 THEN 'held' WHEN n % 50 = 1 THEN 'failed' ELSE 'delivered' END,
    CASE WHEN n % 50 = 1 THEN 'provider_error' END,
    CASE WHEN n % 25 = 0 THEN '{status_protected}'::text[] ELSE '{}' END,
    CASE WHEN n % 25 = 0 THEN '{status_protected:offer sent}'::text[] ELSE '{}' END,
    CASE WHEN n % 25 = 0 THEN 0 ELSE 1 END, CASE WHEN n % 25 = 0 THEN 0 ELSE 1 END,
    CASE WHEN n % 25 = 0 THEN at END, CASE WHEN n % 25 = 0 THEN timestamptz '@now@' + interval '10 years' END,
    CASE WHEN n % 25 > 0 THEN at END, CASE WHEN n % 25 > 0 AND n % 50 <> 1 THEN at END, at, at
FROM (SELECT n, n * 7919::bigint % @contacts@ AS i, timestamptz '@now@' - (n::float8 / (@contacts@ / 2)) * interval '30 days' AS at
    FROM generate_series(0, @contacts@ / 2 - 1) n) AS asked
JOIN contacts c ON c.workspace_id = 'acme' AND c.contact_id = pg_temp.made('c', i);

INSERT INTO commands (workspace_id, command_id, command, actor_id, actor_role, target, issued_at, outcome, changed, applied_at)
SELECT 'acme', pg_temp.made('k', n), 'add_tag', 'user-' || n % 30, 'agent', json_build_object('contact_id', pg_temp.made('c', n))::text,
    at, 'done', '{}', at
FROM (SELECT n, timestamptz '@now@' - (n::float8 / (@contacts@ / 2)) * interval '90 days' AS at
    FROM generate_series(0, @contacts@ / 2 - 1) n) AS given;
INSERT INTO workflow_runs (workspace_id, run_id, workflow_id, contact_id, trigger, started_at, finished_at, state, revision)
SELECT 'acme', 'run-' || n, 'welcome', pg_temp.made('c', n), 'automatic', at,
    CASE WHEN n % 10 > 0 THEN at + interval '1 hour' END, CASE WHEN n % 10 > 0 THEN 'finished' ELSE 'running' END, 2
FROM (SELECT n, timestamptz '@now@' - (n::float8 / (@contacts@ / 5)) * interval '90 days' AS at
    FROM generate_series(0, @contacts@ / 5 - 1) n) AS started;
INSERT INTO merges (workspace_id, merge_id, survivor_id, loser_id, actor_id, merged_at, undone_at)
SELECT 'acme', pg_temp.made('g', n), pg_temp.made('c', n), pg_temp.made('x', n), 'olga', timestamptz '@now@' - n * interval '1 minute', now()
FROM generate_series(0, @contacts@ / 100 - 1) n;
INSERT INTO dead_letters (source_topic, source_partition, source_offset, error)
SELECT 'messages.inbound', n % 12, n, 'content: expected an object' FROM generate_series(1, 10000) n;

-- As the publisher of contacts.changes would have left it.
INSERT INTO contact_index (workspace_id, contact_id, phones, emails, listed, sort_name, words, digits, grams)
SELECT t.*, CASE WHEN t.listed THEN contact_grams(t.workspace_id, t.words, t.digits) ELSE '{}' END
FROM (
    SELECT c.workspace_id, c.contact_id, ARRAY[c.phone] AS phones, array_remove(ARRAY[c.email], NULL) AS emails,
        c.blocked_at IS NULL AS listed, left(lower(normalize(c.display_name, NFC)), 100) AS sort_name,
        search_words(c.display_name, c.first_name, c.last_name, c.email) AS words, search_digits(c.phone) AS digits
    FROM contacts c
) AS t;
INSERT INTO shared_values (workspace_id, field, value)
SELECT workspace_id, 'email', email FROM contacts WHERE email IS NOT NULL GROUP BY 1, 2, 3 HAVING count(*) > 1;

-- As upkeep would have left it.
INSERT INTO inbox_rows (workspace_id, contact_id, status, assignee, snoozed_until, last_message_at, last_direction)
SELECT o.workspace_id, o.contact_id, o.conversation_status, o.assignee,
    CASE WHEN o.conversation_status = 'snoozed' THEN c.snoozed_until END, m.event_time, m.direction
FROM contact_overview o
JOIN contacts c ON c.workspace_id = o.workspace_id AND c.contact_id = o.contact_id
CROSS JOIN LATERAL newest_message(o.workspace_id, o.contact_id) AS m;
INSERT INTO inbox_totals (workspace_id, assignee, status, contacts)
SELECT workspace_id, assignee, status, count(*) FROM inbox_rows GROUP BY workspace_id, assignee, status;
