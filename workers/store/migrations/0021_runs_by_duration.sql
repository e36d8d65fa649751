-- A block that ended long ago concerns the runs that were alive meanwhile: found by how long runs took, and by their end
-- (those that still run, by their start). The class of durations is the expression of `duration_class`, which an index
-- cannot call, because it is made again with every release.
DROP INDEX sluice_core.workflow_runs_contact;
CREATE INDEX workflow_runs_contact ON sluice_core.workflow_runs (
    workspace_id, contact_id,
    width_bucket(coalesce(halted_at, finished_at) - started_at,
        '{1 s,10 s,100 s,20 m,3 h,24 h,240 h,2400 h,24000 h}'::interval[]),
    coalesce(halted_at, finished_at, started_at), run_id
);
