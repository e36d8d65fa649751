"""Whether a process is alive, and whether it is ready. A thread asks, so that a blocked event loop can be told."""

from collections.abc import Callable, Collection
from typing import Final

LIVE_WITHIN_S: Final = 20.0
"""The event loop must have had a turn in this time. No work of ours blocks it for more than a fraction of a second."""

Obstacles = Callable[[], Collection[str]]
"""Why something does not work now, in words without a full stop; nothing if it works. Called from another thread: it
only reads attributes.
"""


class Health:
    """What `/live` and `/ready` say of a process.

    It is alive while its event loop has its turns, whatever its servers do: an orchestrator restarts a process that is
    not. It is ready once it was called, while nothing that it requires is missing, and until it leaves. `then` is
    called when it begins.
    """

    def __init__(self, then: Callable[[], None] = lambda: None, live_within_s: float = LIVE_WITHIN_S) -> None:
        self._then = then
        self._live_within_s = live_within_s
        self._begun = False
        self._leaving = False
        self._required: list[Obstacles] = []
        self._silent_s: Callable[[], float] | None = None

    def __call__(self) -> None:
        """The process does its work from now on."""
        self._begun = True
        self._then()

    def leave(self) -> None:
        """It does no new work from now on."""
        self._leaving = True

    def require(self, *obstacles: Obstacles) -> None:
        """It is not ready while one of these names something."""
        self._required.extend(obstacles)

    def beats(self, silent_s: Callable[[], float] | None) -> None:
        """`silent_s`: for how long the event loop has had no turn, in seconds; None: no loop runs."""
        self._silent_s = silent_s

    @property
    def is_live(self) -> bool:
        """What `/live` says."""
        return self._silent_s is None or self._silent_s() <= self._live_within_s

    @property
    def is_ready(self) -> bool:
        """What `/ready` says."""
        return not self.obstacles()

    def obstacles(self) -> list[str]:
        """Why it is not ready."""
        if self._leaving:
            return ["it stops"]
        found = [obstacle for required in tuple(self._required) for obstacle in required()]
        return found if self._begun else ["it starts", *found]
