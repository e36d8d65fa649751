"""Streams of events: who listens gets what happens in a workspace, until they may not see it any more.

Who reads too slowly, or asks for what is not known any more, is told to look at everything again: no stream makes the
process keep more than it keeps for all.
"""

import asyncio
from collections import Counter, defaultdict, deque
from collections.abc import AsyncIterator, Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager, suppress
from typing import Final

import structlog
from starlette.exceptions import HTTPException

from console.events.happenings import TOPICS, happenings
from console.events.recent import OPERATORS, Kept, Recent, positions_of
from console.person import Person
from workers.errors import SetupError
from workers.process.postgres import AWAY, Postgres
from workers.process.production import Cluster
from workers.process.queries import statements
from workers.process.tailing import Positions, Tail, Tailed
from workers.process.tasks import ended

MOST_STREAMS: Final = 1_000
MOST_OF_A_PERSON: Final = 20
MOST_QUEUED: Final = 256 * 1024
"""Bytes of events that a stream may not have taken yet."""
RECORDS_BACK: Final = 1_000
"""Of each partition, when a process begins: so far back another process's streams can go on."""
HEARTBEAT_S: Final = 15.0
CHECK_S: Final = 3.0
BEHIND_S: Final = 5.0
"""So long a stream waits for what another process had read already."""
_LOOK_S: Final = 0.05
_RETRY: Final = b"retry: 2000\n\n"
_RESET: Final = b"event: reset\ndata: {}\n\n"
_SQL: Final = statements("console", "events")

log = structlog.get_logger()


class Stream:
    """One listener. `secret_hash`: of the session or token. `cut`: breaks the connection."""

    def __init__(self, person: Person, workspace_id: str, secret_hash: bytes, cut: Callable[[], None]) -> None:
        self.person = person.name
        self.workspace_id = workspace_id
        self.secret_hash = secret_hash
        self.is_operator = person.is_operator
        self.is_over = False
        self._cut = cut
        self._queued: deque[bytes] = deque()
        self._size = 0
        self._more = asyncio.Event()

    @property
    def sees(self) -> Sequence[str]:
        """Whose events it gets."""
        return (self.workspace_id, OPERATORS) if self.is_operator else (self.workspace_id,)

    def put(self, chunk: bytes) -> None:
        """Queues events. A stream that has taken too few of the earlier ones is broken; its browser comes again."""
        if self._size + len(chunk) > MOST_QUEUED and self._queued:
            self.end()
            self._cut()
        if not self.is_over:
            self._queued.append(chunk)
            self._size += len(chunk)
            self._more.set()

    def end(self) -> None:
        """Ends the stream; what is queued is not sent any more."""
        self.is_over = True
        self._queued.clear()
        self._more.set()

    async def taken(self) -> bytes:
        """What is queued; empty if nothing came for a while."""
        with suppress(TimeoutError):
            async with asyncio.timeout(HEARTBEAT_S):
                await self._more.wait()
        return self.take()

    def take(self) -> bytes:
        """What is queued now."""
        chunk = b"".join(self._queued)
        self._queued.clear()
        self._size = 0
        self._more.clear()
        return chunk


class Events:
    """All streams of the process, and what they tell."""

    def __init__(self, cluster: Cluster, postgres: Postgres) -> None:
        self._tail = Tail(cluster, "console-events", TOPICS, RECORDS_BACK)
        self._postgres = postgres
        self._recent = Recent()
        self._streams: defaultdict[str, set[Stream]] = defaultdict(set)
        self._of: Counter[str] = Counter()
        self._stopped = False

    @property
    def now(self) -> str:
        """The id of this moment: a stream that goes on from it misses nothing that a page does not show. Empty while
        nothing was read yet.
        """
        return self._recent.id

    async def run(self) -> None:
        """Reads the topics and tells what happens, until cancelled."""
        tasks = [
            asyncio.create_task(self._tail.run(self._begin, self._take), name="events"),
            asyncio.create_task(self._check(), name="streams"),
        ]
        try:
            for done in asyncio.as_completed(tasks):
                await done
        finally:
            await ended(*tasks)

    def close(self) -> None:
        """Ends all streams, and refuses others."""
        self._stopped = True
        for stream in self._all():
            stream.end()

    def refuse_more(self, person: Person) -> None:
        """Refuses a stream that would be one too many.

        Raises:
            HTTPException: 429 or 503.
        """
        if self._stopped or self._of.total() >= MOST_STREAMS:
            raise HTTPException(503, headers={"retry-after": "5"})
        if self._of[person.name] >= MOST_OF_A_PERSON:
            raise HTTPException(429, headers={"retry-after": "30"})

    @contextmanager
    def joined(self, stream: Stream) -> Iterator[None]:
        """While it lasts, the stream gets what happens."""
        self._of[stream.person] += 1
        self._streams[stream.workspace_id].add(stream)
        try:
            yield
        finally:
            self._of[stream.person] -= 1
            self._of += Counter()  # forgets those who have none
            self._streams[stream.workspace_id].discard(stream)
            if not self._streams[stream.workspace_id]:
                del self._streams[stream.workspace_id]

    async def told(self, stream: Stream, after: str | None) -> AsyncIterator[bytes]:
        """What a joined stream gets: what happened after an id, and what happens, until it ends."""
        yield _RETRY
        if after:
            yield await self._missed(stream, after)
        while not stream.is_over:
            chunk = await stream.taken()
            if not stream.is_over:
                yield chunk or b":\n" + self._here()

    async def _missed(self, stream: Stream, after: str) -> bytes:
        since = positions_of(after)
        if since is None:
            return _RESET + self._here()
        clock = asyncio.get_running_loop().time
        until = clock() + BEHIND_S
        while self._recent.is_behind(since) and clock() < until:  # noqa: ASYNC110 - each waits for another offset
            await asyncio.sleep(_LOOK_S)
        stream.take()  # is among the recent ones
        texts = None if self._recent.is_behind(since) else self._recent.after(since, stream.sees)
        missed = _RESET if texts is None else b"".join(texts)
        return (missed if len(missed) <= MOST_QUEUED else _RESET) + self._here()

    def _begin(self, positions: Positions) -> None:
        self._recent.begin(positions)
        for stream in self._all():
            stream.put(_RESET + self._here())

    def _take(self, records: Sequence[Tailed], positions: Positions) -> None:
        events = [
            Kept(told.workspace_id or OPERATORS, one.place, one.offset, one.at_ms, told.text)
            for one in records
            for told in happenings(one.place.topic, one.value, one.headers)
        ]
        self._recent.add(events, positions)
        texts: defaultdict[str, dict[bytes, None]] = defaultdict(dict)  # what is told twice at once is told once
        for event in events:
            texts[event.workspace_id][event.text] = None
        here = self._here()
        if OPERATORS in texts:
            _tell((s for s in self._all() if s.is_operator), b"".join(texts.pop(OPERATORS)) + here)
        for workspace_id in texts.keys() & self._streams.keys():
            _tell(self._streams[workspace_id], b"".join(texts[workspace_id]) + here)

    def _here(self) -> bytes:
        """Without an event: a browser keeps the id for its next request."""
        return b"id: %b\n\n" % self._recent.id.encode()

    async def _check(self) -> None:
        """Ends the streams of those who signed out, were disabled, or do not see the workspace any more."""
        while True:
            await asyncio.sleep(CHECK_S)
            streams = self._all()
            if not streams:
                continue
            try:
                rows = await self._postgres.fetch(_SQL["still"], list({s.secret_hash for s in streams}))
            except (*AWAY, SetupError) as error:
                log.info("Streams were not checked.", action="streams_unchecked", error=repr(error))
                continue
            still = {row["secret_hash"]: row for row in rows}
            for stream in streams:
                row = still.get(stream.secret_hash)
                if row is None or not (row["is_operator"] or stream.workspace_id in row["workspaces"]):
                    stream.end()
                else:
                    stream.is_operator = row["is_operator"]

    def _all(self) -> list[Stream]:
        return [stream for streams in self._streams.values() for stream in streams]


def _tell(streams: Iterable[Stream], chunk: bytes) -> None:
    for stream in list(streams):
        stream.put(chunk)
