"""What happened a moment ago, and where that stands in the topics: a stream that broke goes on from there.

An id says how far each partition was read. Every process reads the same partitions: another one can go on.
"""

from collections import defaultdict, deque
from collections.abc import Iterable, Mapping, Sequence
from typing import Final, NamedTuple

import msgspec
from itsdangerous.encoding import base64_decode, base64_encode
from itsdangerous.exc import BadData

from console.events.happenings import TOPICS
from workers.process.tailing import Place, Positions

MOST: Final = 20_000
LONGEST_MS: Final = 5 * 60 * 1000
_LONGEST_ID: Final = 32 * 1024
OPERATORS: Final = ""
"""Stands for a workspace where there is none: dead letters."""


def id_of(positions: Positions) -> str:
    """The id of a moment."""
    ends: list[list[int]] = [[] for _ in TOPICS]
    for place, offset in sorted(positions.items()):
        ends[TOPICS.index(place.topic)].append(offset)  # partitions have no gaps
    return base64_encode(msgspec.msgpack.encode(ends)).decode()


def positions_of(id_: str) -> Positions | None:
    """What an id says; None: no process gave it."""
    if len(id_) > _LONGEST_ID:
        return None
    try:
        ends = msgspec.msgpack.decode(base64_decode(id_), type=list[list[int]])
    except (BadData, ValueError, msgspec.MsgspecError):
        return None
    if len(ends) != len(TOPICS):
        return None
    return {
        Place(topic, partition): offset
        for topic, offsets in zip(TOPICS, ends, strict=True)
        for partition, offset in enumerate(offsets)
    }


class Kept(NamedTuple):
    """An event that happened. `at_ms`: Kafka's time, in milliseconds since 1970."""

    workspace_id: str
    place: Place
    offset: int
    at_ms: int
    text: bytes


class Recent:
    """The last events, at most `MOST`, of the last five minutes. `positions`: how far the topics are read."""

    def __init__(self) -> None:
        self.positions: Positions = {}
        self.id = ""
        self._since: dict[Place, int] = {}
        self._all: deque[Kept] = deque()
        self._of: defaultdict[str, deque[Kept]] = defaultdict(deque)

    def begin(self, positions: Positions) -> None:
        """Forgets everything: reading begins at these offsets."""
        self.positions, self._since, self.id = positions, dict(positions), id_of(positions)
        self._all.clear()
        self._of.clear()

    def add(self, events: Iterable[Kept], positions: Positions) -> None:
        """Keeps events; what was read ends at `positions`."""
        for event in events:
            self._all.append(event)
            self._of[event.workspace_id].append(event)
        self.positions, self.id = positions, id_of(positions)
        newest = self._all[-1].at_ms if self._all else 0
        while len(self._all) > MOST or (self._all and self._all[0].at_ms < newest - LONGEST_MS):
            self._forget()

    def after(self, since: Positions, workspaces: Sequence[str]) -> list[bytes] | None:
        """The events of the workspaces after these offsets; None: not all of them are known any more."""
        if any(since.get(place, 0) < first for place, first in self._since.items()):
            return None
        return [
            event.text
            for workspace_id in workspaces
            for event in self._of.get(workspace_id, ())
            if event.offset >= since.get(event.place, 0)
        ]

    def is_behind(self, since: Mapping[Place, int]) -> bool:
        """Whether the offsets lie ahead of what was read."""
        return any(offset > self.positions.get(place, 0) for place, offset in since.items())

    def _forget(self) -> None:
        gone = self._all.popleft()
        self._since[gone.place] = max(self._since.get(gone.place, 0), gone.offset + 1)
        left = self._of[gone.workspace_id]
        left.popleft()
        if not left:
            del self._of[gone.workspace_id]
