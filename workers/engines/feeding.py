"""Feeds an engine from `workflows.control`: skips what cannot be read, and tells again while the engine is away."""

import asyncio
import re
from collections.abc import Sequence
from functools import partial
from typing import Final

import msgspec
import structlog

from workers.engines.control import CONTROL, Control, Engine, EngineAway, Told
from workers.kafka.brokers import Brokers, reached
from workers.kafka.connection import Kafka, PollLimits
from workers.kafka.failures import AWAY
from workers.kafka.following import Followed, Following
from workers.process.failure_deadline import FailureDeadline
from workers.process.liveness import LivenessProbe, ServerLiveness
from workers.process.metrics.of_workers import TOLD
from workers.process.tasks import unless_failed, unless_stopped

_ID: Final = re.compile(rb"[!-~]{1,255}")
"""What every engine can take as an id, also in a header."""
_DECODER: Final = msgspec.json.Decoder(Control)

log = structlog.get_logger()


class EngineFeed:
    """Tells an engine what the topic tells, in a group of its own: the first start begins with the oldest record."""

    def __init__(
        self, engine: Engine, cluster: Kafka, group: str, limits: PollLimits, unreachable_after_s: float = 60.0
    ) -> None:
        self._engine = engine
        self._cluster = cluster
        self._unreachable_after_s = unreachable_after_s
        self._following = Following(cluster, group, CONTROL, limits)

    @property
    def caught_up(self) -> asyncio.Event:
        """Set once the engine was told everything that the topic held when the feed began."""
        return self._following.caught_up

    async def run(self, stop: asyncio.Event) -> None:
        """Feeds until stopped.

        Raises:
            Unreachable: Kafka or the engine did not answer within the bound.
            SetupError: Kafka refuses, or the topic does not exist.
        """
        if not await unless_stopped(self._reach(), stop):
            return
        liveness = ServerLiveness("Kafka", Brokers(self._cluster), AWAY, self._unreachable_after_s)
        watching = asyncio.create_task(liveness.run(), name=liveness.name)
        try:
            await unless_failed(self._following.run(self._take, stop), watching)
        finally:
            liveness.stop()
            await asyncio.wait({watching})

    async def _reach(self) -> None:
        await LivenessProbe("Kafka", AWAY, self._unreachable_after_s).answer(partial(reached, self._cluster))

    async def _take(self, outputs: Sequence[Followed]) -> None:
        told = [one for one in map(read, outputs) if one is not None]
        for start in range(0, len(told), self._engine.most):
            deadline = FailureDeadline(self._unreachable_after_s, "The engine did not take what it was told")
            some = told[start : start + self._engine.most]
            await deadline.insist(partial(self._engine.take, some), (EngineAway,), _missed)
            TOLD.labels("told").inc(len(some))


async def _missed(error: Exception) -> None:
    log.warning("The engine is away; telling it again.", action="engine_away", error=str(error) or type(error).__name__)


def read(output: Followed) -> Told | None:
    """What a record tells; None, with a line in the log, for one that cannot be read."""
    given = output.headers.get("ce_id") or b""
    ce_id = given.decode() if _ID.fullmatch(given) else f"{output.partition}-{output.offset}"
    try:
        control = _DECODER.decode(output.value or b"")
    except (msgspec.DecodeError, UnicodeDecodeError) as error:
        TOLD.labels("skipped").inc()
        log.error(
            f"A record of {CONTROL} cannot be read, and is skipped.",
            action="control_skipped",
            partition=output.partition,
            offset=output.offset,
            error=str(error),
        )
        return None
    return Told(control, ce_id, output.value or b"")
