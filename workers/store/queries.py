"""The named queries of the store."""

from types import MappingProxyType

from workers.process.queries import statements


def load(family: str) -> MappingProxyType[str, str]:
    """Statements of `queries/<family>.sql` by name. Raises as `statements`."""
    return statements("workers.store", family)
