"""The examples, run as a user runs them: against every worker, an embedded broker and PostgreSQL."""
