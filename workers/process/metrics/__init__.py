"""Every metric of every process: name, labels, what it tells, what to alert on.

`docs/metrics.md` is written from this package (`python -m tools.metrics_page`). A process shows the modules that it
imports. Rules for who adds a metric:

- The name ends in the unit, that of a counter in `_total`. A released name never changes: people alert on it.
- A label has few values, and the code knows them: never an address, a name or a workspace.
- On the path of messages count once per batch, and only after its COMMIT.
"""
