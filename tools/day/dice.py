"""Chance from a seed, the same on every Python.

Only `Random.random()` is promised to give one sequence on all versions, so everything here is built on it.
"""

from base64 import urlsafe_b64encode
from collections.abc import Sequence
from random import Random
from typing import TypeVar
from uuid import UUID

T = TypeVar("T")


class Dice:
    """A seeded source of choices, identifiers and lengths of time."""

    def __init__(self, seed: str) -> None:
        self._random = Random(seed)  # noqa: S311 - a recording must be reproducible, not secret

    def below(self, limit: int) -> int:
        """An integer from 0 up to `limit` - 1."""
        return int(self._random.random() * limit)

    def between(self, low: int, high: int) -> int:
        """An integer from `low` to `high`, both included."""
        return low + self.below(high - low + 1)

    def chance(self, probability: float) -> bool:
        return self._random.random() < probability

    def pick(self, options: Sequence[T]) -> T:
        return options[self.below(len(options))]

    def shuffled(self, options: Sequence[T]) -> list[T]:
        deck = list(options)
        for last in range(len(deck) - 1, 0, -1):
            other = self.below(last + 1)
            deck[last], deck[other] = deck[other], deck[last]
        return deck

    def octets(self, count: int) -> bytes:
        return bytes(self.below(256) for _ in range(count))

    def digits(self, count: int) -> str:
        return "".join(str(self.below(10)) for _ in range(count))

    def hexadecimal(self, count: int) -> str:
        return self.octets((count + 1) // 2).hex()[:count]

    def token(self, octets: int) -> str:
        """URL-safe base64 of `octets` random bytes, without padding."""
        return urlsafe_b64encode(self.octets(octets)).decode().rstrip("=")

    def uuid(self) -> str:
        return str(UUID(bytes=self.octets(16), version=4))

    def moment(self, low: float, high: float) -> int:
        """Milliseconds between two moments given in seconds."""
        return round(low * 1000 + self._random.random() * (high - low) * 1000)
