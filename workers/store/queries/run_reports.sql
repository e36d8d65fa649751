-- name: page
SELECT run_id, workflow_id, contact_id, trigger, state, reason, started_at FROM sluice.runs_page($1, $2, $3, $4)

-- name: of_contact
SELECT run_id, workflow_id, contact_id, trigger, state, reason, started_at FROM sluice.contact_runs($1, $2, $3, $4)

-- name: run
SELECT r.workspace_id, r.run_id, r.workflow_id, r.contact_id, c.display_name, r.trigger, r.state, r.reason, d.parent_run_id,
    d.started_at, d.finished_at, d.outcome, d.ended_at, d.step_id, d.blocked_at, d.blocked_by, d.unblocked_at, d.cut_at, d.children,
    d.held_steps, now() AS now
FROM sluice.workflow_runs r
CROSS JOIN LATERAL sluice.run_details(r.workspace_id, r.run_id) d
LEFT JOIN sluice.contact_overview c ON c.workspace_id = r.workspace_id AND c.contact_id = r.contact_id
WHERE r.workspace_id = $1 AND r.run_id = $2
