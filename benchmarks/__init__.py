"""Benchmarks: speed of all sides in one run. Machines differ and are shared, so only ratios have a meaning."""
