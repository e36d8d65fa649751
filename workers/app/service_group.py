"""The parts of a process: workers, jobs, publishers, compaction repair. A part that fails ends alone.

A failure that one record, command or tenant causes in one worker must not stop the others. A part stays ended if an
operator must decide about its input. A part that fails for another reason starts again after a pause. A failure that
concerns the whole process ends the process: a server that is away, settings, rights.
"""

import asyncio
from collections.abc import Callable, Sequence
from typing import Any, Final, Protocol, runtime_checkable

import structlog

from workers.errors import ExitCode, PositionLost, SettingsError, SetupError, Unreachable
from workers.process.metrics.of_processes import FAILURES, SERVICE_RUNNING
from workers.services.leased import Service

Make = Callable[[], Service]
"""Makes a service that has not run yet."""


@runtime_checkable
class Hindered(Protocol):
    """A service that may be kept from its work after it began."""

    def obstacles(self) -> list[str]:
        """Why it cannot work now; nothing if it can. Called from another thread."""
        ...


FIRST_PAUSE_S: Final = 1.0
LONGEST_PAUSE_S: Final = 60.0
_LASTED_S: Final = 300.0
"""A part that ran as long as this before it failed starts counting its failures from zero."""

log = structlog.get_logger()


class ServicePart:
    """One part of the process, and the service that runs as it now. `consuming`: it was at work at least once."""

    def __init__(self, make: Make) -> None:
        self.consuming = asyncio.Event()
        self.service = make()
        self.name = self.service.name
        self._make = make
        self._unused = True
        self._failures = 0
        self._began_at = 0.0
        self._is_over = False

    def begin(self, now: float) -> Service:
        """The service that runs as this part from now on."""
        if not self._unused:
            self.service = self._make()
        self._unused, self._began_at, self._is_over = False, now, False
        return self.service

    def end(self) -> None:
        """Its service has ended."""
        self._is_over = True

    def obstacles(self) -> list[str]:
        """Why it is not at work now."""
        if self._is_over:
            return [f"{self.name} has ended"]
        if not self.service.consuming.is_set():
            return [f"{self.name} starts"]
        return self.service.obstacles() if isinstance(self.service, Hindered) else []

    def pause_s(self, now: float) -> float:
        """Seconds to wait after a failure before the part starts again."""
        self._failures = 0 if now - self._began_at > _LASTED_S else self._failures + 1
        return float(min(LONGEST_PAUSE_S, FIRST_PAUSE_S * 2 ** max(0, self._failures - 1)))


class ServiceGroup:
    """All parts of a process: the tasks that run them, and the pauses of those that start again."""

    def __init__(self, makes: Sequence[Make]) -> None:
        self.parts = [ServicePart(make) for make in makes]
        self.running: dict[asyncio.Task[ExitCode], ServicePart] = {}
        self.pauses: dict[asyncio.Task[None], ServicePart] = {}
        self.codes: list[ExitCode] = []
        """Exit codes of parts that stay ended."""
        self._last: dict[ServicePart, ExitCode] = {}
        self._hearing: set[asyncio.Task[None]] = set()
        for part in self.parts:
            FAILURES.labels(part.name)
            self._begin(part)

    def obstacles(self) -> list[str]:
        """Which parts are not at work: see `Health`."""
        return [obstacle for part in self.parts for obstacle in part.obstacles()]

    def tasks(self) -> list["asyncio.Task[Any]"]:
        """All tasks of the group."""
        return [*self.running, *self.pauses, *self._hearing]

    def begin_again(self, pause: "asyncio.Task[None]") -> None:
        """Starts the part whose pause is over."""
        self._begin(self.pauses.pop(pause))

    def ended(self, task: "asyncio.Task[ExitCode]", code: ExitCode) -> None:
        """Decides about a part that ended, with its error logged: it stays ended, or starts again after a pause."""
        part = self.running.pop(task)
        part.end()
        SERVICE_RUNNING.labels(part.name).set(0)
        FAILURES.labels(part.name).inc()
        if _is_a_persons(task, code):
            self.codes.append(code)
            if self.running:
                log.error(
                    f"{part.name} stays ended until this process is started anew; everything else in it goes on.",
                    action="ended_alone",
                    service=part.name,
                    exit_code=int(code),
                )
            return
        self._last[part] = code
        pause_s = part.pause_s(asyncio.get_running_loop().time())
        self.pauses[asyncio.create_task(asyncio.sleep(pause_s), name=f"pause of {part.name}")] = part
        if self.running:
            log.warning(
                f"{part.name} is begun again in {pause_s:g} s; everything else in the process goes on.",
                action="begun_again",
                service=part.name,
                exit_code=int(code),
                pause_s=pause_s,
            )

    def away(self) -> list[ExitCode]:
        """Exit codes of all parts that do not run now."""
        return [*self.codes, *(self._last[part] for part in self.pauses.values())]

    def stop(self) -> None:
        """Asks all running parts to stop."""
        for part in self.running.values():
            part.service.stop()

    def _begin(self, part: ServicePart) -> None:
        service = part.begin(asyncio.get_running_loop().time())
        SERVICE_RUNNING.labels(part.name).set(1)
        self.running[asyncio.create_task(service.run(), name=part.name)] = part
        hearing = asyncio.create_task(_hear(service, part), name=f"hearing of {part.name}")
        self._hearing.add(hearing)
        hearing.add_done_callback(self._hearing.discard)


async def _hear(service: Service, part: ServicePart) -> None:
    await service.consuming.wait()
    part.consuming.set()


def concerns_all(task: "asyncio.Task[ExitCode]") -> bool:
    """Whether the failure concerns the whole process: servers, settings or rights."""
    return _raised(task, Unreachable) or _raised(task, SettingsError) or _raised(task, SetupError)


def is_unreachable(task: "asyncio.Task[ExitCode]") -> bool:
    """Whether it ended because a server was away."""
    return _raised(task, Unreachable)


def _is_a_persons(task: "asyncio.Task[ExitCode]", code: ExitCode) -> bool:
    """Whether the part would end in the same way until an operator decides about its input, or is done."""
    return code in (ExitCode.STOPPED_THE_LINE, ExitCode.CLEAN) or _raised(task, PositionLost)


def _raised(task: "asyncio.Task[ExitCode]", error: type[BaseException]) -> bool:
    return task.done() and not task.cancelled() and isinstance(task.exception(), error)
