"""Many contacts at once: a command for each of a selection, import from and export to CSV."""
