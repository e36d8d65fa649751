"""What is measured: each file is a process of its own, run as `python -m benchmarks.sides.NAME`, see `told.py`."""
