"""The cache of a process for rows that it has read."""

from typing import Generic, TypeVar
from uuid import UUID

T = TypeVar("T")


class Recent(Generic[T]):
    """What was read of workspaces, by version. No two states of any workspace have the same version, not even one that
    was rolled back. Keeps the last used entries up to `most_bytes` together, and always the last one.
    """

    def __init__(self, most_bytes: int) -> None:
        self._known: dict[str, tuple[UUID, T, int]] = {}
        self._left = most_bytes

    def get(self, workspace_id: str, version: UUID) -> T | None:
        """None if it is not in the cache."""
        known = self._forget(workspace_id)
        if known is None or known[0] != version:
            return None
        self.put(workspace_id, *known)
        return known[1]

    def put(self, workspace_id: str, version: UUID, contents: T, weight: int) -> None:
        """`weight` is in bytes."""
        self._forget(workspace_id)
        self._known[workspace_id] = version, contents, weight
        self._left -= weight
        while self._left < 0 and len(self._known) > 1:
            self._forget(next(iter(self._known)))

    def _forget(self, workspace_id: str) -> tuple[UUID, T, int] | None:
        known = self._known.pop(workspace_id, None)
        if known is not None:
            self._left += known[2]
        return known
