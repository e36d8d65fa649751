"""Passwords: argon2id with the parameters of RFC 9106 for machines with little memory, 64 MiB a hash."""

import asyncio
import secrets
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from typing import Final

from argon2 import PasswordHasher
from argon2.exceptions import InvalidHashError, VerificationError

SHORTEST: Final = 10
LONGEST: Final = 1_000
_AT_ONCE: Final = 2
_HASHER: Final = PasswordHasher()


def hashed(password: str) -> str:
    """What is kept of a password. Takes some ten milliseconds.

    Raises:
        ValueError: it is too short, too long, or no text.
    """
    if not SHORTEST <= len(password) <= LONGEST:
        raise ValueError(f"the password must have {SHORTEST} to {LONGEST:,} characters")
    return _HASHER.hash(password)


class Passwords:
    """Compares passwords in threads, at most two at once: each takes 64 MiB. Others wait; who gives up waiting leaves
    the queue.
    """

    def __init__(self) -> None:
        self._threads = ThreadPoolExecutor(_AT_ONCE, "password")
        self._nobodys = _HASHER.hash(secrets.token_urlsafe())

    async def fits(self, password: str, kept: str | None) -> bool:
        """Whether a password has this hash. Without a hash the answer is no, and takes as long."""
        loop = asyncio.get_running_loop()
        is_same = await loop.run_in_executor(self._threads, partial(_fits, password[:LONGEST], kept or self._nobodys))
        return is_same and kept is not None

    def stop(self) -> None:
        """Ends the threads; who still waits gets no answer."""
        self._threads.shutdown(wait=False, cancel_futures=True)


def _fits(password: str, kept: str) -> bool:
    try:
        return _HASHER.verify(kept, password)
    except (VerificationError, InvalidHashError):
        return False
