-- Rows that are made of other rows.

-- name: begin
-- Those who write rows of the kind $1 wait for each other. The tables may be small when a statement is planned and large while the
-- session keeps the plan: only indexes are good.
SELECT pg_advisory_xact_lock(hashtextextended($1, 19)), set_config('enable_seqscan', 'off', true),
    set_config('enable_hashjoin', 'off', true), set_config('enable_mergejoin', 'off', true)

-- name: end
SELECT set_config('enable_seqscan', 'on', true), set_config('enable_hashjoin', 'on', true),
    set_config('enable_mergejoin', 'on', true)
