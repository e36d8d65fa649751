"""Keyed hashes stand for the addresses of deleted contacts: with the address they are found, without it they say
nothing.
"""

import hashlib
import hmac
from typing import Final, NamedTuple

_SEPARATOR: Final = "\0"  # no address and no id has it


class HashKeys(NamedTuple):
    """The keys of a process: `old` is read while a key is rotated, `current` is written. None: not set."""

    current: bytes | None = None
    old: bytes | None = None

    @property
    def known(self) -> tuple[bytes, ...]:
        """The keys that are set, the current one first."""
        return tuple(key for key in self if key is not None)


def key_id(key: bytes) -> str:
    """Names a key without telling it: 16 hexadecimal digits."""
    return hashlib.sha256(b"sluice hash key " + key).hexdigest()[:16]


def address_hash(key: bytes, workspace_id: str, channel: str, scope: str, lookup: str) -> bytes:
    """HMAC-SHA256 of an address as it is looked up in its workspace: 32 bytes."""
    return hmac.digest(key, _SEPARATOR.join((workspace_id, channel, scope, lookup)).encode(), "sha256")
