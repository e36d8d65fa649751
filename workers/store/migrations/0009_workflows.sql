-- Workflow runs: what is known of each (start, earliest contact step, finish), what follows from it, and what was told.

CREATE TABLE sluice_core.workflow_runs (
    workspace_id text NOT NULL,
    run_id text NOT NULL,
    workflow_id text NOT NULL,
    -- NULL if the contact was unknown when the start was applied
    contact_id uuid,
    -- the root's, once the parent is known
    trigger text NOT NULL CHECK (trigger IN ('automatic', 'shortcut')),
    parent_run_id text,
    started_at timestamptz NOT NULL,
    finished_at timestamptz,
    outcome text,
    -- the earliest step that reaches the contact: a shortcut's run ends at it if it lies inside a block
    contact_step_at timestamptz,
    contact_step_id text,
    -- the contact was merged away or deleted
    cut_at timestamptz,
    cut_reason text,
    -- the verdict that follows; halted_at is the start of a refused run
    state text NOT NULL CHECK (state IN ('running', 'halted', 'refused', 'finished')),
    reason text,
    halted_at timestamptz,
    halted_by text,
    -- run_halted or run_refused once told to the engine: nothing is granted afterwards, and the same is said again
    told text CHECK (told IN ('run_halted', 'run_refused')),
    told_reason text,
    told_step_id text,
    told_at timestamptz,
    told_revision integer,
    -- of the last fact told
    revision integer NOT NULL,
    PRIMARY KEY (workspace_id, run_id)
);
-- With the end of each run: a change of a contact's block history concerns only the runs that had not ended by then.
CREATE INDEX workflow_runs_contact
    ON sluice_core.workflow_runs (workspace_id, contact_id, coalesce(halted_at, finished_at, 'infinity'));
CREATE INDEX workflow_runs_parent ON sluice_core.workflow_runs (workspace_id, parent_run_id) WHERE parent_run_id IS NOT NULL;
