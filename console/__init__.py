"""The HTTP API and the console. Both read public views and functions, and write topics, as any other program."""
