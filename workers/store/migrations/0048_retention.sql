-- message_retention_days: content goes after that time, the rows stay as proofs of counts and as memory of ids.

-- How far a workspace is. A pass erases what has an event time in [since, until), address by address; sends that nobody accepted, and
-- comments, by their own times.
CREATE TABLE sluice_core.retention_passes (
    workspace_id text PRIMARY KEY,
    days integer NOT NULL,              -- the setting that it goes by
    since timestamptz NOT NULL,         -- earlier passes erased what is older; -infinity: a whole pass
    until timestamptz NOT NULL,
    whole_at timestamptz NOT NULL,      -- when the last whole pass began
    -- Where the next step begins; null: the pass is over.
    identity_id bigint,
    generation integer NOT NULL,
    event_time timestamptz NOT NULL,
    served_at timestamptz NOT NULL
);
CREATE INDEX effective_settings_retention ON sluice_core.effective_settings (workspace_id, holds_from)
    WHERE channel_id = '' AND name = 'message_retention_days';

-- Both empty themselves. Sends that a provider accepted are messages, and found as those.
CREATE INDEX sends_ended_with_content ON sluice_core.sends (workspace_id, updated_at)
    WHERE status IN ('refused', 'rejected', 'expired', 'cancelled', 'failed', 'ambiguous') AND retry_at IS NULL AND content::text <> '{}';
ALTER TABLE sluice_core.comments ALTER COLUMN text DROP NOT NULL;       -- null: erased
CREATE INDEX comments_with_text ON sluice_core.comments (workspace_id, written_at) WHERE text IS NOT NULL;
