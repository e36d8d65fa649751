-- From where a command was given. Null: it was applied before this was kept.
ALTER TABLE sluice_core.commands ADD COLUMN actor_module text;
