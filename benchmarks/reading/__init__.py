"""How long what people, an API and operators ask takes, in a workspace of any size: `make bench-reading`."""
