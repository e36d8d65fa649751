-- Block histories.

-- The interval that holds `at`, or null, by the commands: the same as `history` in workers/rules/blocks.py. Views that
-- readers see call it, so it runs with its owner's rights.
CREATE FUNCTION sluice_core.older_block(workspace_id text, contact_id uuid, at timestamptz)
RETURNS tstzrange LANGUAGE sql STABLE PARALLEL SAFE SECURITY DEFINER SET search_path = sluice_core, pg_temp SET plan_cache_mode = auto AS $$
    SELECT tstzrange(began.issued_at, (
        SELECT c.issued_at FROM block_commands c
        WHERE c.workspace_id = $1 AND c.contact_id = $2 AND c.unblocks AND c.issued_at > $3 ORDER BY c.issued_at LIMIT 1
    ))
    FROM block_commands began
    WHERE began.workspace_id = $1 AND began.contact_id = $2 AND NOT began.unblocks AND began.issued_at <= $3
        AND began.issued_at >= coalesce((
            SELECT c.issued_at FROM block_commands c
            WHERE c.workspace_id = $1 AND c.contact_id = $2 AND c.unblocks AND c.issued_at <= $3 ORDER BY c.issued_at DESC LIMIT 1
        ), '-infinity')
    ORDER BY began.issued_at LIMIT 1
$$;

-- Whether a contact, given by columns of its row, was blocked at a time.
CREATE FUNCTION sluice_core.under_block(
    workspace_id text, contact_id uuid, blocks tstzrange[], blocks_since timestamptz, at timestamptz
) RETURNS boolean LANGUAGE sql STABLE PARALLEL SAFE
    RETURN CASE
        WHEN at < blocks_since THEN sluice_core.older_block(workspace_id, contact_id, at) IS NOT NULL
        ELSE at <@ ANY (blocks)
    END;

-- Whether a contact, given by columns of its row, is blocked now or was at the time of the request; without a row: no.
CREATE FUNCTION sluice_core.stopped_by_block(
    workspace_id text, contact_id uuid, blocked_at timestamptz, blocks tstzrange[], blocks_since timestamptz, requested_at timestamptz
) RETURNS boolean LANGUAGE sql STABLE PARALLEL SAFE
    RETURN blocked_at IS NOT NULL OR coalesce(CASE
        WHEN requested_at < blocks_since THEN sluice_core.older_block(workspace_id, contact_id, requested_at) IS NOT NULL
        ELSE requested_at <@ ANY (blocks)
    END, false);
