-- Whom a poll asks for comes in arrays, of which a planner can tell nothing, and each is looked up in a unique index whatever it
-- thinks. Left to itself PostgreSQL plans two of the three statements anew for every poll, which takes as long as finding ten senders.
ALTER FUNCTION sluice_core.find_senders(text[], text[], text[], bigint[], text[], timestamptz) SET plan_cache_mode = force_generic_plan;
