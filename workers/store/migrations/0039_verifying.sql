-- What verifying the counts found, and how far tonight's round is.

CREATE TABLE sluice_core.verifications (
    workspace_id text PRIMARY KEY,
    verified_at timestamptz NOT NULL,
    differences bigint NOT NULL,
    -- Why its figures were not final at that time; null: they were.
    not_final text,
    -- Some of the differences.
    examples json NOT NULL
);
CREATE INDEX verifications_that_differ ON sluice_core.verifications (workspace_id) WHERE differences > 0;

-- One row: the round under way, or the last one. Its workspaces are verified in the order of their ids.
CREATE TABLE sluice_core.verification_round (
    one boolean PRIMARY KEY DEFAULT true CHECK (one),
    began_at timestamptz NOT NULL,
    ended_at timestamptz,               -- null: under way
    place json NOT NULL                 -- how far it is (workers/billing/nightly.py)
);
