"""Probes for `running(…, probe=…)`: crash or hold a worker at a named point of the commit order."""

import asyncio
from collections import Counter


class Crash(Exception):  # noqa: N818
    """The worker process dies here: nothing is drained, released or cleaned up by the loop."""


class CrashAt:
    """Crashes the `time`-th time the point is reached."""

    def __init__(self, point: str, time: int = 1) -> None:
        self._point = point
        self._left = time

    async def __call__(self, point: str) -> None:
        if point == self._point:
            self._left -= 1
            if self._left == 0:
                raise Crash(point)


class HoldAt:
    """Holds the worker the first time the point is reached: `reached` tells, `go` lets it on."""

    def __init__(self, point: str) -> None:
        self._point = point
        self.reached = asyncio.Event()
        self.go = asyncio.Event()

    async def __call__(self, point: str) -> None:
        if point == self._point:
            self.reached.set()
            await self.go.wait()


class Trace:
    """Counts the points."""

    def __init__(self) -> None:
        self.points: Counter[str] = Counter()

    async def __call__(self, point: str) -> None:
        self.points[point] += 1
