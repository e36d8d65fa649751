-- Joins a group of senders, or stays in it for another minute. False: another member serves other channels.
CREATE FUNCTION sluice.join_senders(consumer_group text, member uuid, channels bytea)
RETURNS boolean LANGUAGE plpgsql SECURITY DEFINER SET search_path = sluice_core, pg_temp AS $$
#variable_conflict use_column
BEGIN
    PERFORM pg_advisory_xact_lock(hashtextextended('senders ' || $1, 0));
    DELETE FROM sender_members m WHERE m.live_until < clock_timestamp();
    IF EXISTS (SELECT FROM sender_members m WHERE m.consumer_group = $1 AND m.member <> $2 AND m.channels <> $3) THEN
        RETURN false;
    END IF;
    INSERT INTO sender_members VALUES ($1, $2, $3, clock_timestamp() + interval '1 minute')
    ON CONFLICT (consumer_group, member) DO UPDATE SET channels = EXCLUDED.channels, live_until = EXCLUDED.live_until;
    RETURN true;
END $$;

CREATE FUNCTION sluice.leave_senders(consumer_group text, member uuid)
RETURNS void LANGUAGE sql SECURITY DEFINER SET search_path = sluice_core, pg_temp AS $$
    DELETE FROM sender_members m WHERE m.consumer_group = $1 AND m.member = $2
$$;

REVOKE ALL ON FUNCTION sluice.join_senders(text, uuid, bytea), sluice.leave_senders(text, uuid) FROM PUBLIC;
GRANT EXECUTE ON FUNCTION sluice.join_senders(text, uuid, bytea), sluice.leave_senders(text, uuid) TO sluice_sender;
