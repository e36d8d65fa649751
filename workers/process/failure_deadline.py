"""Failure deadlines: how long a server may fail without a break before the process ends."""

import asyncio
from collections.abc import Awaitable, Callable
from math import inf
from typing import Final, TypeVar

from workers.errors import SetupError, Unreachable

T = TypeVar("T")
_FIRST_PAUSE_S: Final = 0.1
_LONGEST_PAUSE_S: Final = 1.0


class FailureDeadline:
    """Tolerates failures for `bound_s` seconds. `complaint` is the sentence of the error after that."""

    def __init__(self, bound_s: float, complaint: str) -> None:
        self._bound_s = bound_s
        self._complaint = complaint
        self._failing_since: float | None = None

    def answered(self) -> None:
        """Resets the deadline after a success."""
        self._failing_since = None

    def failed_with(self, error: Exception, since: float | None = None) -> None:
        """Records a failure; `since` is the event-loop time at which the attempt began, if not now.

        Raises:
            Unreachable: every attempt has failed for `bound_s` seconds.
            SetupError: the same, and this is the last one's error.
        """
        now = asyncio.get_running_loop().time()
        if self._failing_since is None:
            self._failing_since = now if since is None else since
        if now - self._failing_since < self._bound_s:
            return
        if isinstance(error, SetupError):
            raise error
        raise Unreachable(f"{self._complaint} for {self._bound_s:g} s: {str(error) or repr(error)}") from error

    async def insist(
        self,
        attempt: Callable[[], Awaitable[T]],
        passing: tuple[type[Exception], ...],
        between: Callable[[Exception], Awaitable[None]] | None = None,
        *,
        longest_s: float = inf,
    ) -> T:
        """The result of the first attempt without a `passing` error that takes at most `longest_s` seconds. Calls
        `between` after each failure, then pauses.

        Raises:
            Unreachable, SetupError: as `failed_with`.
        """
        loop, pause_s = asyncio.get_running_loop(), _FIRST_PAUSE_S
        failures: tuple[type[Exception], ...] = (*passing, TimeoutError)
        while True:
            began = loop.time()
            give_up = (began if self._failing_since is None else self._failing_since) + self._bound_s
            try:
                async with asyncio.timeout_at(min(give_up, began + longest_s)):
                    result = await attempt()
            except failures as error:
                self.failed_with(error, began)
                if between is not None:
                    await between(error)
                await asyncio.sleep(min(pause_s, max(0.0, give_up - loop.time())))
                pause_s = min(_LONGEST_PAUSE_S, 2 * pause_s)
            else:
                self.answered()
                return result
