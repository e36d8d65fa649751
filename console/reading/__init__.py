"""Reads public views and functions. Each module has the questions of one subject; their statements are in `queries`."""
