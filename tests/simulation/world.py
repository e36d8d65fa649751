"""What every part of a simulated world shares: its dice, its trace, the weather, and the processes that live in it."""

import asyncio
import random
from collections import Counter
from collections.abc import Callable, Coroutine, Mapping
from copy import copy
from dataclasses import dataclass, replace
from enum import Enum
from typing import Any, Final

from workers.runtime.lanes import HighLoad

SESSION_TIMEOUT_S: Final = 6.0
HEARTBEAT_S: Final = 2.0

# What befalls the whole world, now and then.
BLOWS: Final = (
    "kill",
    "lose the machine",
    "pause",
    "leave",
    "join",
    "rebalance",
    "evict",
    "broker restarts",
    "database restarts",
    "end a connection",
    "clock jumps",
    "rewind",
    "skip",
)

POINTS: Final = (
    # Every named point of the commit order.
    *(
        "polled",
        "fenced",
        "applied",
        "before_commit",
        "committed",
        "published",
        "offsets_committed",
        "published_deleted",
    ),
    *("leases_taken", "repeated", "outbox_published", "handing_over", "handed_over"),
    # What a worker waits for between them.
    *(
        "connect",
        "adopt",
        "poll",
        "fence",
        "lock",
        "save",
        "earlier",
        "store outbox",
        "COMMIT",
        "COMMIT answered",
        "publish",
    ),
    *(
        "acknowledged",
        "commit offsets",
        "delete published",
        "take",
        "COMMIT of take",
        "read outbox",
        "bounds",
        "release",
        "join",
    ),
)

RARE: Final = ("published_deleted", "repeated")


@dataclass(frozen=True, slots=True)
class Broken(Exception):  # noqa: N818 - a law is broken
    """A law that did not hold, and how."""

    law: str
    how: str

    def __str__(self) -> str:
        return f"{self.law}: {self.how}"


@dataclass(frozen=True, slots=True)
class Weather:
    """What may happen in one schedule. Numbers are probabilities at each step, unless they say otherwise; `hanging` is
    how often what is not acknowledged fails only in the end, `marked` the point at which
    workers run another `risk`, `short` the part of the time in which the database has too little for anything.

    Each schedule has a climate of its own: where everything happens at once, much hides behind the loudest fault.
    """

    workers: int
    lanes: int
    partitions: int
    records: int
    lasts_s: float
    poll: int
    gaps: float
    markers: float
    bad: float
    refused: float
    moody: float
    crash: float
    pause: float
    lost: float
    conflict: float
    unacknowledged: float
    hanging: float
    uncommitted: float
    slow: float
    marked: str
    risk: float
    blows: tuple[str, ...]
    between_blows_s: float
    high_load: HighLoad
    heavy: float
    costly: float
    deadly: float
    short: float

    @classmethod
    def drawn(cls, dice: random.Random) -> "Weather":
        def one_of(*choices: float) -> float:
            return dice.choice(choices)

        return cls(
            workers=dice.randint(1, 3),
            lanes=dice.randint(1, 3),
            partitions=dice.randint(1, 3),
            records=dice.randint(4, 24),
            lasts_s=dice.uniform(4.0, 32.0),
            poll=dice.randint(1, 6),
            gaps=one_of(0, 0, 0.1),
            markers=copy(dice).choice((0.0, 0.3, 0.6)),
            bad=one_of(0, 0.1, 0.4),
            refused=one_of(0, 0, 0.1),
            moody=one_of(0, 0, 0, 0.1),
            crash=one_of(0, 0.005, 0.02),
            pause=one_of(0, 0.005, 0.02),
            lost=one_of(0, 0.01, 0.05),
            conflict=one_of(0, 0.02, 0.1),
            unacknowledged=one_of(0, 0.05, 0.2),
            hanging=one_of(0.1, 0.5),
            uncommitted=one_of(0, 0.1),
            slow=one_of(0.002, 0.02),
            marked=dice.choice((*POINTS, *RARE * 5)),
            risk=one_of(0.05, 0.5),
            blows=tuple(blow for blow in BLOWS if dice.random() < 0.35),
            between_blows_s=dice.uniform(1.0, 8.0),
            high_load=_high_load_drawn(copy(dice)),  # which, as above, leaves what is thrown from here on as it was
            **_loads_drawn(copy(dice)),
        )


def _loads_drawn(dice: random.Random) -> dict[str, float]:
    dice = random.Random(dice.random())  # noqa: S311 - chosen for being repeatable
    return {
        "heavy": dice.choice((0, 0, 0.2)),
        "costly": dice.choice((0, 0, 0.05, 0.2)),
        "deadly": dice.choice((0, 0, 0, 0.05)),
        "short": dice.choice((0, 0, 0.3)),
    }


def _high_load_drawn(dice: random.Random) -> HighLoad:
    return HighLoad(dice.randint(2, 8), dice.choice((0.0, 0.2)), dice.uniform(0.2, 4.0))


class World:
    """One schedule's world. It comes to an end with the first broken law."""

    def __init__(self, seed: int, climate: Mapping[str, Any]) -> None:
        self.loop = asyncio.get_running_loop()
        self.dice = random.Random(seed)  # noqa: S311 - chosen for being repeatable
        self.weather = replace(Weather.drawn(self.dice), **climate)
        self.stormy = True
        self.broken: Broken | None = None
        self.over = asyncio.Event()
        self.seen: Counter[str] = Counter()
        self.tasks: set[asyncio.Task[object]] = set()
        self._trace: list[tuple[Any, ...]] = []
        self._at: list[float] = []
        self._serial = 0

    def spawn(self, work: Coroutine[Any, Any, object]) -> None:
        """Something that happens by itself; it is gone with the world."""
        task = self.loop.create_task(work)
        self.tasks.add(task)
        task.add_done_callback(self.tasks.discard)

    def now(self) -> float:
        return self.loop.time()

    @property
    def events(self) -> int:
        return len(self._trace)

    def serial(self) -> int:
        self._serial += 1
        return self._serial

    def chance(self, probability: float) -> bool:
        """Whether a fault happens now: never once the storm is over."""
        return self.stormy and probability > 0 and self.dice.random() < probability

    def note(self, who: str, what: str, *details: object) -> None:
        self._at.append(self.loop.time())
        self._trace.append((who, what, *details))

    def count(self, what: str) -> None:
        """A fault has happened: a simulation in which nothing happens would prove nothing."""
        self.seen[what] += 1

    def breaks(self, law: str, how: str) -> None:
        self.note("law", law, how)
        if self.broken is None:
            self.broken = Broken(law, how)
        self.over.set()

    def trace(self) -> str:
        """Everything that happened, one line each."""
        return "\n".join(
            f"{at:9.3f}  {who:<9} {what}" + "".join(f" {told(detail)}" for detail in details)
            for at, (who, what, *details) in zip(self._at, self._trace, strict=True)
        )

    async def while_it_takes(self) -> None:
        """However long something takes: mostly no time, sometimes long."""
        if not self.stormy:
            return
        dice = self.dice.random()
        if dice < 0.2:
            return
        if dice < 0.5:
            await asyncio.sleep(0)
        elif dice > 1 - self.weather.slow:
            await asyncio.sleep(self.dice.random() * 5)
        else:
            await asyncio.sleep(self.dice.random() * (0.02 if dice < 0.9 else 0.5))


def told(detail: object) -> str:
    """A detail, in an order that does not hang on where things lie in memory."""
    if isinstance(detail, set | frozenset):
        return "{" + ", ".join(sorted(told(part) for part in detail)) + "}"
    if isinstance(detail, list | tuple) and not hasattr(detail, "_fields"):
        return "[" + ", ".join(told(part) for part in detail) + "]"
    if isinstance(detail, dict):
        return "{" + ", ".join(sorted(f"{told(key)}: {told(value)}" for key, value in detail.items())) + "}"
    if type(detail).__name__ == "Source":
        return f"p{detail.partition}"  # type: ignore[attr-defined]
    if type(detail).__name__ == "OwedKey":
        return f"p{detail.source.partition}<{detail.next_offset}"  # type: ignore[attr-defined]
    return str(detail)


class Death(Enum):
    """Like SIGKILL; or like a machine that is gone without a word to its servers."""

    KILLED = "is killed"
    LOST = "is lost with its machine"


class Process:
    """One run of a worker: it lives, pauses, dies. Its ports take every step through `step`."""

    def __init__(self, world: World, name: str) -> None:
        self.world = world
        self.name = name
        self.dead = False
        self.stopping = False
        self.fenced = False
        self.paused_until = 0.0
        self.tasks: list[asyncio.Task[Any]] = []
        self.when_it_dies: list[Callable[[Death], None]] = []
        self.when_it_pauses: list[Callable[[float], None]] = []

    @property
    def awake(self) -> bool:
        return not self.dead and self.world.now() >= self.paused_until

    async def step(self, point: str) -> None:
        """Time passes, and the process may die or pause here."""
        if self.dead:
            raise asyncio.CancelledError
        world = self.world
        await world.while_it_takes()
        if world.stormy:
            marked = world.weather.risk if point == world.weather.marked else 0.0
            if world.chance(world.weather.crash + marked):
                self.die(point, world.dice.choice((Death.KILLED, Death.KILLED, Death.LOST)))
            elif world.chance(world.weather.pause + marked):
                self.pause(point)
        while not self.awake:
            if self.dead:
                raise asyncio.CancelledError
            await asyncio.sleep(self.paused_until - world.now())

    def die(self, point: str, death: Death) -> None:
        if self.dead:
            return
        self.world.note(self.name, death.value, point)
        self.world.count(f"{death.value}: {point}")
        self.dead = True
        for told_ in self.when_it_dies:
            told_(death)
        for task in self.tasks:
            task.cancel()

    def pause(self, point: str) -> None:
        """Like SIGSTOP: shorter or longer than the session time-out."""
        length = self.world.dice.choice((1.0, 2 * SESSION_TIMEOUT_S, 4 * SESSION_TIMEOUT_S)) * (
            0.2 + self.world.dice.random()
        )
        self.world.note(self.name, "pauses", point, f"{length:.1f} s")
        self.world.count(f"pauses: {point}")
        self.paused_until = max(self.paused_until, self.world.now() + length)
        for told_ in self.when_it_pauses:
            told_(length)
