-- What the command line reads, so that a login of sluice_reader can use every command that only reads.

-- Which files are applied: every command asks first.
CREATE VIEW sluice.migrations AS
SELECT name, checksum, applied_at FROM sluice_core.migrations;

CREATE VIEW sluice.partition_progress AS
SELECT consumer_group, topic, partition, owner, next_offset, updated_at
FROM sluice_core.progress
WHERE next_offset IS NOT NULL;

-- Every input partition that a worker has had, also where nothing is applied yet. `working`: its owner is connected.
-- Not everybody may see since when a connection is there; its number must do then.
CREATE VIEW sluice.partitions AS
SELECT p.topic, p.partition, p.consumer_group, p.owner, p.next_offset, p.updated_at,
    p.lease IS NOT NULL AND EXISTS (
        SELECT FROM pg_stat_activity AS a
        WHERE a.pid = p.backend_pid AND coalesce(a.backend_start, p.backend_start) = p.backend_start
          AND a.datname = current_database()
    ) AS working, p.owner_version, p.owner_since, p.watermark AS applied_until, e.end_offset, e.read_at AS end_read_at
FROM sluice_core.progress AS p LEFT JOIN sluice_core.input_ends AS e USING (topic, partition);

-- Timed jobs, publishers and repairs: who has the lease of each now, and when it was done last.
CREATE VIEW sluice.jobs AS
SELECT name, CASE WHEN expires_at > clock_timestamp() THEN owner END AS owner, expires_at > clock_timestamp() AS working,
    last_run_at, owner_version, owner_since
FROM sluice_core.leases;

-- Processes of workers that have partitions or leases. Stand-bys have none. `since`: when the process began.
CREATE VIEW sluice.workers AS
SELECT split_part(owner, '/', 1) AS host,
    CASE WHEN split_part(owner, '/', 2) ~ '^[0-9]{1,9}$' THEN split_part(owner, '/', 2)::int END AS pid, max(owner_version) AS version,
    min(owner_since) AS since, count(topic)::int AS partitions, count(*)::int - count(topic)::int AS jobs,
    coalesce(array_agg(DISTINCT split_part(owner, '/', 3)) FILTER (WHERE topic IS NOT NULL), '{}') AS workers
FROM (
    SELECT owner, owner_version, owner_since, topic FROM sluice.partitions WHERE working
    UNION ALL
    SELECT owner, owner_version, owner_since, NULL FROM sluice.jobs WHERE working
) AS held
GROUP BY split_part(owner, '/', 1), split_part(owner, '/', 2);

-- What is stored but not yet published or done: one row.
CREATE VIEW sluice.backlog AS
SELECT
    (SELECT count(*) FROM sluice_core.batch_outbox) AS unpublished_batches,
    (SELECT count(*) FROM sluice_core.outbox) AS unpublished_events,
    (SELECT count(*) FROM sluice_core.unpublished_contacts) AS contacts_to_publish,
    (SELECT count(*) FROM sluice_core.unpublished_cycles) AS counts_to_publish,
    (SELECT count(*) FROM sluice_core.pending_work) AS pending_work,
    (SELECT count(*) FROM sluice_core.parked_receipts) AS parked_receipts,
    (SELECT count(*) FROM sluice.held_sends) AS holds;

-- What is under way, and how far it is.
CREATE VIEW sluice.pending_work AS
SELECT workspace_id, kind, subject, command_id, done, total, asked_at FROM sluice_core.pending_work;

-- Workspaces whose counts are not final: pending work changes them. `done` of `total`, over all of it.
CREATE VIEW sluice.counting_again AS
SELECT workspace_id, sum(done)::bigint AS done, sum(total)::bigint AS total, min(asked_at) AS since FROM sluice_core.pending_work
WHERE kind IN ('count again', 'count a contact again', 'revise messages', 'release messages', 'move messages', 'find late facts')
GROUP BY workspace_id;
GRANT SELECT ON sluice.counting_again TO sluice_billing;

CREATE VIEW sluice.audit_log AS
SELECT workspace_id, applied_at AS at, actor_id AS actor, command, target, outcome, reason, detail
FROM sluice_core.commands;

-- As audit_log, and from where each command came, and what it changed. `command_id` orders what has one time.
CREATE VIEW sluice.audit_list AS
SELECT workspace_id, applied_at AS at, actor_id AS actor, command, target, outcome, reason, detail, command_id, actor_role AS role,
    actor_module AS module, issued_at, changed
FROM sluice_core.commands;

-- The answer to each command. `changed` is what it changed, empty if it was refused.
CREATE VIEW sluice.command_results AS
SELECT workspace_id, command_id, command, outcome, reason, detail, changed, applied_at AS at
FROM sluice_core.commands;

-- Digest of a record's key and value; null where the value was null or too large to keep: such a record is never
-- replayed.
CREATE FUNCTION sluice_core.letter_digest(key bytea, value bytea) RETURNS bytea
LANGUAGE sql IMMUTABLE PARALLEL SAFE AS $$
    SELECT sha256(coalesce(sha256(key), ''::bytea) || sha256(value))
$$;

CREATE VIEW sluice.dead_letters AS
SELECT id, source_topic, source_partition, source_offset, error, first_seen, attempts, status
FROM sluice_core.dead_letters;

-- As dead_letters, and whether the content is still there: kept, not kept (it was null or too large), erased.
CREATE VIEW sluice.dead_letter_list AS
SELECT id, source_topic, source_partition, source_offset, error, first_seen, attempts, status,
    CASE WHEN erased_at IS NOT NULL THEN 'erased' WHEN value IS NULL THEN 'not kept' ELSE 'kept' END AS content
FROM sluice_core.dead_letters;

-- One letter with what came, byte for byte: it may be personal data. `headers` is MessagePack: [[name, value], …].
CREATE FUNCTION sluice.dead_letter(letter bigint)
RETURNS TABLE (id bigint, source_topic text, source_partition int, source_offset bigint, error text,
    first_seen timestamptz, attempts int, status text, key bytea, value bytea, headers bytea, erased_at timestamptz)
LANGUAGE sql STABLE SECURITY DEFINER SET search_path = pg_catalog AS $$
    SELECT d.id, d.source_topic, d.source_partition, d.source_offset, d.error,
        d.first_seen, d.attempts, d.status, d.key, d.value, d.headers, d.erased_at
    FROM sluice_core.dead_letters AS d WHERE d.id = letter
$$;

-- Marks a letter as `replayed` or `dismissed`. Returns whether that changed it: not if it is marked so already, or if what is to
-- be replayed is not kept. The row stays locked until the transaction ends. Who replays a letter marks it, produces the record,
-- and commits: a worker that finds the record bad again counts it after that, and of two who replay it only one hears true.
CREATE FUNCTION sluice.dead_letter_settle(letter bigint, new_status text) RETURNS boolean
LANGUAGE plpgsql SECURITY DEFINER SET search_path = sluice_core, pg_temp AS $$
BEGIN
    IF new_status IS NULL OR new_status NOT IN ('replayed', 'dismissed') THEN
        RAISE EXCEPTION 'a dead letter becomes replayed or dismissed, not %', coalesce(new_status, 'null')
            USING ERRCODE = 'invalid_parameter_value';
    END IF;
    UPDATE dead_letters d SET status = new_status
    WHERE d.id = letter AND d.status <> new_status AND (new_status = 'dismissed' OR d.value IS NOT NULL);
    RETURN FOUND;
END $$;

GRANT SELECT ON sluice.migrations TO sluice_billing;
REVOKE ALL ON FUNCTION sluice.dead_letter_settle(bigint, text) FROM PUBLIC;
GRANT EXECUTE ON FUNCTION sluice.dead_letter_settle(bigint, text) TO sluice_worker, sluice_console;
REVOKE ALL ON FUNCTION sluice.dead_letter(bigint) FROM PUBLIC;
GRANT EXECUTE ON FUNCTION sluice.dead_letter(bigint) TO sluice_worker, sluice_reader;
