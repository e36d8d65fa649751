"""The twin of each command on the command line, made from its struct: `sluice add-tag` gives `add_tag`."""
