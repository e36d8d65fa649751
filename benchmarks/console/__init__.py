"""Measures the console: its pages and calls over many rows, and its streams of events beside many events."""
