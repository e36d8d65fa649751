"""Server liveness: asks each server regularly, on a separate connection, whether it answers.

Other waits cannot show that: a statement may wait for a lock, and a poll of a quiet topic is empty. The time that a
server may be away is measured here only, from the first question without an answer.
"""

import asyncio
from collections.abc import Awaitable, Callable
from typing import Final, Protocol, TypeVar

import structlog

from workers.errors import ExitCode, SetupError
from workers.process.failure_deadline import FailureDeadline
from workers.process.metrics.of_processes import SERVER_UP
from workers.process.tasks import ended

T = TypeVar("T")
_LONGEST_QUESTION_S: Final = 10.0
_EVERY_S: Final = 5.0

log = structlog.get_logger()


class LivenessProbe:
    """Whether a server answers. Logs once that it is away, and once that it is back."""

    def __init__(self, server: str, away: tuple[type[Exception], ...], bound_s: float) -> None:
        self._server = server
        self._away = away
        self._bound_s = bound_s
        self._deadline = FailureDeadline(bound_s, f"{server} did not answer")
        self._away_since: float | None = None

    @property
    def obstacles(self) -> list[str]:
        """That the server does not answer, if so: see `Health`."""
        return [] if self._away_since is None else [f"{self._server} does not answer"]

    async def answer(self, question: Callable[[], Awaitable[T]]) -> T:
        """Asks until the server answers. An error of `away` counts as no answer.

        Raises:
            Unreachable: the server has not answered for the bound.
            SetupError: the server refuses us, so waiting does not help.
        """
        longest_s = min(_LONGEST_QUESTION_S, self._bound_s / 3)
        result = await self._deadline.insist(question, self._away, self._missed, longest_s=longest_s)
        if self._away_since is not None:
            away_s = asyncio.get_running_loop().time() - self._away_since
            log.info(f"{self._server} is back after {away_s:.0f} s.", action="server_back", server=self._server)
        self._away_since = None
        SERVER_UP.labels(self._server).set(1)
        return result

    async def _missed(self, error: Exception) -> None:
        if self._away_since is None:
            self._away_since = asyncio.get_running_loop().time()
            SERVER_UP.labels(self._server).set(0)
            log.warning(
                f"{self._server} is away; waiting for it for {self._bound_s:g} s at most.",
                action="server_away",
                server=self._server,
                error=str(error) or type(error).__name__,
            )


class Asking(Protocol):
    """Asks a server whether it answers."""

    async def ask(self) -> None:
        """Returns once the server has answered."""
        ...

    def close(self) -> None:
        """Closes at once, whatever the server does."""
        ...


class ServerLiveness:
    """Checks a server as long as the process runs; a service of the supervisor."""

    def __init__(self, server: str, asking: Asking, away: tuple[type[Exception], ...], bound_s: float) -> None:
        self.name = f"liveness of {server}"
        self.consuming = asyncio.Event()
        self._asking = asking
        # This login worked at the start, so a refusal may be temporary.
        self._probe = LivenessProbe(server, (*away, SetupError), bound_s)
        self._every_s = min(_EVERY_S, bound_s / 10)
        self._stop = asyncio.Event()

    def obstacles(self) -> list[str]:
        """That the server does not answer, if so: see `Health`."""
        return self._probe.obstacles

    def stop(self) -> None:
        """Stops at once."""
        self._stop.set()

    async def run(self) -> ExitCode:
        """Checks until stopped.

        Raises:
            Unreachable, SetupError: the server has been away for the bound.
        """
        feeling = asyncio.create_task(self._check(), name=self.name)
        stopping = asyncio.create_task(self._stop.wait(), name="stop")
        try:
            await asyncio.wait({feeling, stopping}, return_when=asyncio.FIRST_COMPLETED)
            return await feeling if feeling.done() else ExitCode.CLEAN
        finally:
            await ended(feeling, stopping)
            self._asking.close()

    async def _check(self) -> ExitCode:
        while True:
            await self._probe.answer(self._asking.ask)
            self.consuming.set()
            await asyncio.sleep(self._every_s)
