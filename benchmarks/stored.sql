-- A workspace with a past, as Sluice would have stored it: @contacts@ people and @messages@ messages of theirs, over the
-- last ninety days until two hours ago. Person i has the number (7919 * i) mod @contacts@, so that those who write during
-- a measurement are scattered over the tables; message m is of person m mod @contacts@. Values take the place of @names@.
-- Messages came in order, and fill generations of half a million, closed and sealed but for the last; the first one is half as
-- large, so that what is measured begins with a generation half full.

SET synchronous_commit = off;
SET maintenance_work_mem = '512MB';
SET TIME ZONE 'UTC';

-- STABLE, because only so PostgreSQL puts their bodies where they are called.
CREATE FUNCTION pg_temp.phone(i bigint) RETURNS text LANGUAGE sql STABLE
    RETURN '+49151' || (10000000 + (7919 * i) % @contacts@);
CREATE FUNCTION pg_temp.made(kind text, n bigint) RETURNS uuid LANGUAGE sql STABLE
    RETURN md5(kind || n)::uuid;
CREATE FUNCTION pg_temp.generation(m bigint) RETURNS int LANGUAGE sql STABLE
    RETURN (m + 250000) / 500000;
CREATE FUNCTION pg_temp.moment(m bigint) RETURNS timestamptz LANGUAGE sql STABLE
    RETURN timestamptz '@now@' - interval '2 hours' - (1 - m / @messages@::float8) * interval '90 days';

-- Indexes are made at the end: sorted at once they take a tenth of the time.
CREATE TEMP TABLE later (made text);
DO $$
DECLARE found record;
BEGIN
    FOR found IN
        SELECT conrelid::regclass AS relation, conname, pg_get_constraintdef(oid) AS definition FROM pg_constraint
        WHERE conrelid = 'sluice_core.messages'::regclass AND contype = 'p'
    LOOP
        INSERT INTO later VALUES (format('ALTER TABLE %s ADD CONSTRAINT %I %s', found.relation, found.conname,
            found.definition));
        EXECUTE format('ALTER TABLE %s DROP CONSTRAINT %I', found.relation, found.conname);
    END LOOP;
    FOR found IN SELECT indexrelid::regclass AS index, pg_get_indexdef(indexrelid) AS definition FROM pg_index
        WHERE indrelid = 'sluice_core.messages'::regclass
    LOOP
        INSERT INTO later VALUES (found.definition);
        EXECUTE format('DROP INDEX %s', found.index);
    END LOOP;
END $$;

INSERT INTO sluice_core.workspaces (workspace_id, first_message_at) VALUES ('acme', pg_temp.moment(0));
INSERT INTO sluice_core.channels (workspace_id, channel_id, channel) VALUES ('acme', 'wa-main', 'whatsapp');

-- The first message of each person in each month is the proof that they were active.
INSERT INTO sluice_core.mac_contacts (workspace_id, cycle_start, contact_id, first_message_id, first_counted_at)
SELECT 'acme', date_trunc('month', pg_temp.moment(m)), pg_temp.made('c', m % @contacts@),
    pg_temp.made('m', m), pg_temp.moment(m)
FROM generate_series(0, @messages@ - 1) m
WHERE m < @contacts@
    OR date_trunc('month', pg_temp.moment(m)) <> date_trunc('month', pg_temp.moment(m - @contacts@));

-- @blocked@ people of every hundred have been blocked for an hour and a half.
INSERT INTO sluice_core.contacts (workspace_id, contact_id, conversation_id, display_name, first_name, country, language,
    phone, opened_at, blocks, blocked_at, blocked_by, counted_at)
SELECT 'acme', pg_temp.made('c', i), pg_temp.made('v', i), 'Customer ' || number, 'Customer ' || number, 'DE', 'de',
    pg_temp.phone(i), pg_temp.moment(i + @messages@ - @contacts@),
    CASE WHEN blocked THEN ARRAY[tstzrange(since, NULL)] ELSE '{}' END, CASE WHEN blocked THEN since END,
    CASE WHEN blocked THEN 'olga' END,
    (SELECT max(first_counted_at) FROM sluice_core.mac_contacts
        WHERE workspace_id = 'acme' AND contact_id = pg_temp.made('c', i) AND cycle_start = ANY (ARRAY[
            date_trunc('month', timestamptz '@now@'), date_trunc('month', timestamptz '@now@' - interval '1 month')]))
FROM (SELECT i, number, number % 100 < @blocked@ AS blocked,
        timestamptz '@now@' - interval '90 minutes' AS since
    FROM (SELECT i, (7919::bigint * i) % @contacts@ AS number
        FROM generate_series(0, @contacts@ - 1) i) numbered) people;
INSERT INTO sluice_core.block_commands (workspace_id, contact_id, issued_at, unblocks, command_id, actor_id)
SELECT workspace_id, contact_id, blocked_at, false, gen_random_uuid(), blocked_by
FROM sluice_core.contacts WHERE blocked_at IS NOT NULL;

-- @protected@ people of every hundred have a profile each whose status is protected.
INSERT INTO sluice_core.profile_statuses (workspace_id, name, protected, protected_since, written_at, written_by)
SELECT 'acme', 'VIP', true, at, at, pg_temp.made('w', 0) FROM (SELECT timestamptz '@now@' - interval '1 day' AS at) AS written
WHERE @protected@ > 0;
WITH attached AS (
    UPDATE sluice_core.contacts SET profile_id = contact_id::text, profile_at = timestamptz '@now@' - interval '1 day'
    WHERE right(phone, 2)::int >= 100 - @protected@ RETURNING workspace_id, profile_id, profile_at, display_name
)
INSERT INTO sluice_core.profiles (workspace_id, profile_id, name, name_key, status, status_at, contacts, created_by, created_at)
SELECT workspace_id, profile_id, display_name, lower(display_name), 'VIP', profile_at, 1, 'olga', profile_at FROM attached;

INSERT INTO sluice_core.identities (workspace_id, identity_id, channel, scope, lookup, address, contact_id, channel_id,
    connected_at)
OVERRIDING SYSTEM VALUE
SELECT 'acme', i + 1, 'whatsapp', '', pg_temp.phone(i), pg_temp.phone(i), pg_temp.made('c', i), 'wa-main', pg_temp.moment(i)
FROM generate_series(0, @contacts@ - 1) i;
SELECT setval(pg_get_serial_sequence('sluice_core.identities', 'identity_id'), @contacts@);

INSERT INTO sluice_core.messages (generation, workspace_id, message_id, identity_id, channel_id, channel, kind, event_time, counted,
    decided_at, content_digest, body)
SELECT pg_temp.generation(m), 'acme', pg_temp.made('m', m), i + 1, 'wa-main', 'whatsapp', 'message', at, true, at, hashtextextended(m::text, 0),
    format('{"workspace_id":"acme","channel_id":"wa-main","channel":"whatsapp","provider_message_id":"wamid.HBgN%s",'
        '"sender":{"address":"%s","name":"Customer %s","language":"de","avatar_url":null},"sent_at":"%s","received_at":"%s",'
        '"kind":"message","content":{"type":"text","text":"Hello, I ordered the blue chair last week and it has not '
        'arrived yet. Could you tell me where it is? The number of the order is %s.","subject":null,"html":null,'
        '"reply_to":null,"attachments":null,"template":null},"extra":null}',
        lpad(m::text, 28, '0'), pg_temp.phone(i), (7919::bigint * i) % @contacts@, spelt, spelt, m)::json
FROM (SELECT m, i, at, to_char(at, 'YYYY-MM-DD"T"HH24:MI:SS.US"Z"') AS spelt
    FROM (SELECT m, m % @contacts@ AS i, pg_temp.moment(m) AS at
        FROM generate_series(0, @messages@ - 1) m) dated) written;

INSERT INTO sluice_core.mac_shards (workspace_id, cycle_start, shard, active_contacts)
SELECT workspace_id, cycle_start, 'messages.inbound/0', count(*) FROM sluice_core.mac_contacts GROUP BY 1, 2;
INSERT INTO sluice_core.mac_cycles (workspace_id, cycle_start, cycle_end)
SELECT DISTINCT workspace_id, cycle_start, cycle_start + interval '1 month' FROM sluice_core.mac_shards;

-- A group that was held because of its profiles, and which a person has just confirmed: nothing of it is dispatched yet.
INSERT INTO sluice_core.sends (workspace_id, send_id, group_id, contact_id, channel, channel_id, scope, lookup, address, content,
    source, requested_by, requested_role, requested_at, status, reasons, reason_keys, held_at, expires_at, applied_at, updated_at)
SELECT 'acme', pg_temp.made('s', n), 'spring', pg_temp.made('c', n % @contacts@), 'whatsapp', 'wa-main', '',
    pg_temp.phone(n % @contacts@), pg_temp.phone(n % @contacts@),
    '{"type":"text","text":"Good news: your blue chair has left our warehouse this morning and should be with you by Thursday."}',
    'broadcast', 'olga', 'agent', at, 'held', '{status_protected}', '{status_protected:vip}', at, at + interval '72 hours', at, at
FROM generate_series(0, @confirmed@ - 1) n, (SELECT timestamptz '@now@' - interval '1 hour' AS at) asked;
INSERT INTO sluice_core.pending_work (workspace_id, kind, subject, command_id, details, total)
SELECT 'acme', 'confirm holds', 'spring', gen_random_uuid(),
    json_build_object('at', timestamptz '@now@', 'issued_at', timestamptz '@now@', 'actor', 'bob'), @confirmed@
WHERE @confirmed@ > 0;

-- Groups that are held, and people with many runs.
INSERT INTO sluice_core.sends (workspace_id, send_id, group_id, contact_id, channel, channel_id, scope, lookup, address, content,
    source, requested_by, requested_role, requested_at, status, reasons, reason_keys, held_at, expires_at, applied_at, updated_at,
    message_id)
SELECT 'acme', pg_temp.made('h', n), 'group-' || n / 10000, pg_temp.made('c', n % @contacts@), 'whatsapp', 'wa-main', '',
    pg_temp.phone(n % @contacts@), pg_temp.phone(n % @contacts@),
    '{"type":"text","text":"Good news: your blue chair has left our warehouse this morning and should be with you by Thursday."}',
    'broadcast', 'olga', 'agent', at, 'held', '{status_protected}', '{status_protected:VIP}', at, at + interval '72 hours', at, at, pg_temp.made('i', n)
FROM generate_series(0, @groups@ * 10000 - 1) n, (SELECT timestamptz '@now@' - interval '1 hour' AS at) asked;
INSERT INTO sluice_core.workflow_runs (workspace_id, run_id, workflow_id, contact_id, trigger, started_at, state, revision, known_at)
SELECT 'acme', 'run-' || n, 'welcome', pg_temp.made('c', n / 10000), 'automatic', at, 'running', 2, at
FROM generate_series(0, @groups@ * 10000 - 1) n, (SELECT timestamptz '@now@' - interval '1 hour' AS at) started;

-- A deletion of many, as its command leaves it: nobody is cut off yet.
INSERT INTO sluice_core.deletions (workspace_id, deletion_id, requested_at, contacts, cutting)
SELECT 'acme', pg_temp.made('d', 0), '@now@', @deleted@, true WHERE @deleted@ > 0;
INSERT INTO sluice_core.deleted_contacts (workspace_id, contact_id, deletion_id, deleted_at, cut_off)
SELECT 'acme', pg_temp.made('c', i), pg_temp.made('d', 0), '@now@', false FROM generate_series(0, @contacts@ - 1) i
WHERE (7919::bigint * i) % @contacts@ >= @contacts@ - @deleted@;

DO $$
DECLARE statement text;
BEGIN
    FOR statement IN SELECT made FROM later LOOP EXECUTE statement; END LOOP;
END $$;

-- What upkeep would have done as they came. The newest generation began when the index had the size that the others have in it.
UPDATE sluice_core.generations SET generation = pg_temp.generation(@messages@ - 1), began_bytes =
    pg_relation_size('sluice_core.messages_pkey') * greatest(0, pg_temp.generation(@messages@ - 1) * 500000 - 250000) / @messages@;
INSERT INTO sluice_core.generations (generation, opened_at, closed_at, sealed_at, began_bytes, last_event)
SELECT g, pg_temp.moment(greatest(0, g * 500000 - 250000)), pg_temp.moment(g * 500000 + 250000), now(), 0,
    pg_temp.moment(g * 500000 + 249999)
FROM generate_series(0, pg_temp.generation(@messages@ - 1) - 1) g;
INSERT INTO sluice_core.message_fingerprints (era, bucket, fingerprints)
SELECT generation / 32, sluice_core.bucket(message_id) AS bucket,
    string_agg(substr(uuid_send(message_id), 3, 3), ''::bytea ORDER BY generation DESC)
FROM sluice_core.messages WHERE generation < pg_temp.generation(@messages@ - 1) GROUP BY 1, 2 ORDER BY 1, 2;
