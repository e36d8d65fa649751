-- Workflow runs: the events of each, the state that follows, and what was published to the engine about its end.

CREATE TABLE sluice_core.workflow_runs (
    workspace_id text NOT NULL,
    run_id text NOT NULL,
    workflow_id text NOT NULL,
    -- null if the contact was unknown when the start was applied
    contact_id uuid,
    -- the topmost run's, once the parent is known
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
    -- run_halted or run_refused once it was published: nothing is granted afterwards, and the same event is published
    -- again
    published text CHECK (published IN ('run_halted', 'run_refused')),
    published_reason text,
    published_step_id text,
    published_at timestamptz,
    published_revision integer,
    -- Counts the changes of the state, from 2; 1 is what was published about the run before its start.
    revision integer NOT NULL,
    -- When Sluice learned of the run. A block that halts runs in steps leaves out the runs that came after it.
    known_at timestamptz,           -- null: unknown, treated as before
    PRIMARY KEY (workspace_id, run_id)
);
-- With the end of each run: a change of a block history concerns only runs that had not ended by then. Steps go in this
-- order.
CREATE INDEX workflow_runs_contact
    ON sluice_core.workflow_runs (workspace_id, contact_id, coalesce(halted_at, finished_at, 'infinity'), run_id);
CREATE INDEX workflow_runs_parent ON sluice_core.workflow_runs (workspace_id, parent_run_id, run_id) WHERE parent_run_id IS NOT NULL;

-- When each step was requested first: an engine that asks again, by a later clock, gets the same answer.
CREATE TABLE sluice_core.workflow_steps (
    workspace_id text NOT NULL,
    run_id text NOT NULL,
    step_id text NOT NULL,
    asked_at timestamptz NOT NULL,
    PRIMARY KEY (workspace_id, run_id, step_id)
);
