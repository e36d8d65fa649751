"""Keys of records: they only route, and begin with the workspace (contract 2)."""

from typing import Protocol


class _InWorkspace(Protocol):
    @property
    def workspace_id(self) -> str: ...


def key_begins(value: _InWorkspace) -> bytes:
    """The expected begin of the key of a record with this value."""
    return f"{value.workspace_id}:".encode()
