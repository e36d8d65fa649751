"""What the metrics of the test's own process come to."""

import asyncio
from collections.abc import Callable

from prometheus_client import REGISTRY

PATIENCE_S = 30.0


def value(name: str, **labels: object) -> float | None:
    """The value of a sample; None if it is not shown."""
    return REGISTRY.get_sample_value(name, {label: str(text) for label, text in labels.items()})


async def until(reached: Callable[[], bool]) -> None:
    """Waits for what metrics show.

    Raises:
        TimeoutError: it never was.
    """
    async with asyncio.timeout(PATIENCE_S):
        while not reached():  # noqa: ASYNC110 - a metric has no event to wait for
            await asyncio.sleep(0.02)


class Growth:
    """How much samples have grown since this was made; what was not shown was 0."""

    def __init__(self) -> None:
        self._before = _samples()

    def of(self, name: str, **labels: object) -> float:
        """The growth of one sample."""
        key = name, frozenset((label, str(text)) for label, text in labels.items())
        return _samples().get(key, 0.0) - self._before.get(key, 0.0)


def _samples() -> dict[tuple[str, frozenset[tuple[str, str]]], float]:
    return {(s.name, frozenset(s.labels.items())): s.value for family in REGISTRY.collect() for s in family.samples}
