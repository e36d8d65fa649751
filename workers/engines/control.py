"""What an engine is told, and the ports that an adapter implements."""

from collections.abc import Sequence
from typing import Final, NamedTuple, Protocol

from msgspec import Struct

CONTROL: Final = "workflows.control"
ENDS: Final = frozenset({"run_halted", "run_refused"})
"""After one of these nothing is granted: the run takes no further step."""


class Control(Struct, frozen=True, kw_only=True, gc=False):
    """A value of `workflows.control`, read leniently: a newer Sluice may tell controls and outcomes that this release
    does not know.
    """

    workspace_id: str
    run_id: str
    control: str
    step_id: str | None = None
    outcome: str | None = None
    reason: str | None = None
    contact_id: str | None = None
    at: str | None = None
    revision: int = 0


class Told(NamedTuple):
    """A record of `workflows.control`. The same `ce_id` is the same fact; `value` is the record byte for byte."""

    control: Control
    ce_id: str
    value: bytes

    @property
    def ends(self) -> bool:
        return self.control.control in ENDS


class EngineAway(Exception):  # noqa: N818 - a state, not a mistake
    """Raised by an engine that cannot take what it was told now: it is told again."""


class Engine(Protocol):
    """Takes everything that the topic tells."""

    most: int
    """How many records it takes at once."""

    async def take(self, told: Sequence[Told]) -> None:
        """Takes records, in order for each run. The same ones may come again.

        Raises:
            EngineAway: tell it again.
        """
        ...


class Halts(Protocol):
    """The smallest port: an engine that only stops runs."""

    async def halts(self, workspace_id: str, run_id: str, reason: str | None) -> None:
        """The run takes no further step. May be called again for the same run.

        Raises:
            EngineAway: call it again.
        """
        ...


class Halting:
    """The engine of a port that only stops runs: grants and outcomes are left out."""

    most = 1

    def __init__(self, port: Halts) -> None:
        self._port = port

    async def take(self, told: Sequence[Told]) -> None:
        """See the protocol."""
        for one in told:
            if one.ends:
                await self._port.halts(one.control.workspace_id, one.control.run_id, one.control.reason)
