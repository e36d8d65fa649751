"""The laws. Each is checked at the moment at which it could be broken, on what the servers hold, never on what a worker
believes; what must be so in the end is checked once the world has come to rest.
"""

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Final
from uuid import UUID

from schemas.topics import SHARED_KEYS
from tests.simulation.world import Process, World
from workers.errors import ExitCode, SluiceError
from workers.records import DeadLetter, Event, OutboxRow, Partition, PartitionStep, RawRecord, Trial
from workers.runtime import bad_record_limit
from workers.runtime.bad_record_limit import AcceptedBad
from workers.runtime.outbox_rows import DEAD_LETTERS
from workers.runtime.portions import MOST_ENDED

if TYPE_CHECKING:
    from tests.simulation.database import Row, Transaction

ONCE: Final = "every record is applied exactly once"
OWNER: Final = "only the owner of a partition applies"
OWED: Final = "what records bring about is owed with them"
LETTERS: Final = "dead letters are the bad records"
DURABLE: Final = "nothing is published before it is committed"
ARRIVES: Final = "everything owed is published before it is forgotten"
ORDER: Final = "first occurrences keep their order"
OFFSETS: Final = "Kafka's offset never runs ahead of what is published"
ENDING: Final = "a worker ends as it should"
TRIED: Final = "what is written down is what is tried"
LINE: Final = "the line stops where it must, and only there"
REST: Final = "once faults end, everything is applied and published"

Chain = tuple[Partition | None, str, bytes | None]
"""What has an order: facts of one topic and key; of one partition, unless the key is shared."""


@dataclass(slots=True)
class Ledger:
    """What is known of one partition. `end` is the offset its next record will get: behind the last one may lie what no
    consumer is given. `next` is None before anything was read; `bad` are all dead letters ever.
    """

    log: list[RawRecord] = field(default_factory=list)
    end: int = 0
    next: int | None = None
    furthest: int = 0
    bad: set[int] = field(default_factory=set)
    unpublished: list[tuple[int, list[UUID]]] = field(default_factory=list)

    def bad_before(self, offset: int) -> list[int]:
        return sorted(bad for bad in self.bad if bad < offset)


class Oracle:
    """Told of everything the servers do; `facts` are what a record must bring about."""

    def __init__(self, world: World, facts: Any) -> None:
        self._world = world
        self._facts = facts
        self.partitions: dict[Partition, Ledger] = {}
        self.accepted: dict[Partition, int] = {}
        self.accepted_by: dict[str, AcceptedBad] = {}
        self.ended: Counter[tuple[Partition, int]] = Counter()
        self._committed: dict[UUID, set[bytes | None]] = {}
        self._place: dict[UUID, tuple[Chain, int]] = {}
        self._lengths: dict[Chain, int] = {}
        self._seen: dict[Chain, int] = {}
        self._published: set[tuple[UUID, bytes | None]] = set()
        self._first: set[UUID] = set()

    # What is committed.

    def commits(self, process: Process, done: "Transaction", rows: "Mapping[Partition, Row]") -> None:
        """Called before a transaction's writes are there."""
        world = self._world
        world.note(process.name, "COMMITs", [(s.source, s.first, s.end) for s in done.steps])
        if {source for source, _ in done.booked} - {step.source for step in done.steps}:
            world.breaks(ONCE, f"{process.name} books records of partitions that it does not advance")
        for step in done.steps:
            if rows[step.source].lease != done.lease:
                world.breaks(OWNER, f"{process.name} advances {step.source} without its lease")
            letters = [letter for letter in done.dead if letter.source == step.source]
            booked = [offset for source, offset in done.booked if source == step.source]
            self._advances(step, booked, letters, process.name)
            self._as_written_down(step, rows[step.source].tried, process.name)
            self._owes(step, booked, letters, [o for o in done.outbox if o.key.source == step.source])

    def _advances(self, step: PartitionStep, booked: list[int], letters: list[DeadLetter], who: str) -> None:
        known, breaks = self.partitions[step.source], self._world.breaks
        begin = known.next or 0
        records = {raw.offset: raw for raw in known.log if begin <= raw.offset < step.end}
        dead = [letter.raw.offset for letter in letters]
        if sorted(booked + dead) != list(records):
            how = f"{step.source} stood at {known.next}; booked {booked} and buried {dead} up to {step.end}"
            breaks(ONCE, f"{how}, of {list(records)}")
            return
        words = {offset: raw.value.partition(b" ")[2] for offset, raw in records.items() if raw.value}
        wrong = [letter.raw.offset for letter in letters if self._judged_wrongly(letter, words[letter.raw.offset])]
        wrong += [o for o in booked if words[o] in (b"bad", b"refused", b"costly", b"deadly")]
        if wrong:
            breaks(LETTERS, f"{step.source}: offsets {wrong} were judged wrongly")
        bad_now = [letter.raw.offset for letter in letters if bad_record_limit.is_bad(letter.error)]
        bad = known.bad_before(begin) + bad_now
        accepted = self.accepted_by[who].get(step.source, 0)
        # What was refused, and booked after a rewind, counts or not: the worker that saw it knows, the next does not.
        certain = not (self._world.weather.moody and "rewind" in self._world.weather.blows)
        if certain and (halt := _halting(bad, begin, accepted)) is not None:
            breaks(LINE, f"{who} went past offset {halt} of {step.source}; bad are {bad}")
        known.bad.update(bad_now)
        known.next, known.furthest = step.end, max(known.furthest, step.end)

    def _as_written_down(self, step: PartitionStep, tried: Trial | None, who: str) -> None:
        first = step.first or 0
        applied = [raw.offset for raw in self.partitions[step.source].log if first <= raw.offset < step.end]
        if tried is not None and tried.times and tried.until > first and applied != [tried.until - 1]:
            self._world.breaks(TRIED, f"{who} applies {applied} of {step.source}, and wrote down {tried}")

    def _judged_wrongly(self, letter: DeadLetter, word: bytes) -> bool:
        if letter.error.startswith("too_costly: alone"):
            return word != b"costly"
        if letter.error.startswith("too_costly"):
            # Who is killed often enough while one record is tried alone cannot tell it from a deadly one.
            return self.ended[letter.source, letter.raw.offset] < MOST_ENDED
        return word not in (b"bad", b"refused", b"moody")

    def orphaned(self, source: Partition, tried: Trial | None) -> None:
        """A partition was taken from an owner that had not given it back; `tried` is what it had written down."""
        self._world.count("orphaned")
        if tried is not None and tried.times and tried.until > (self.partitions[source].next or 0):
            self.ended[source, tried.until - 1] += 1

    def _owes(
        self, step: PartitionStep, booked: list[int], letters: list[DeadLetter], outbox: Sequence[OutboxRow]
    ) -> None:
        known = self.partitions[step.source]
        keys = {raw.offset: raw.key or b"" for raw in known.log} if booked else {}
        wanted = [fact for offset in booked for fact in self._facts(step.source, offset, keys[offset])]
        ours = {ce_id for _, _, ce_id in wanted}
        messages = [message for one in outbox for message in one.events]
        own = [message for message in messages if not self._is_repeated(message, ours)]
        facts = [(message.topic, message.key, message.ce_id) for message in own[: len(wanted)]]
        if facts != wanted or any(one.key.next_offset != step.end for one in outbox):
            self._world.breaks(OWED, f"{step.source} up to {step.end} owes {[m.value for m in own]}, not {wanted}")
        buried = [(m.topic, m.key, m.value, _offset_of(m)) for m in own[len(wanted) :]]
        if buried != [(DEAD_LETTERS, le.raw.key, le.raw.value, le.raw.offset) for le in letters]:
            self._world.breaks(LETTERS, f"{step.source} up to {step.end} owes other letters than it has")
        for message in own:
            self._commit(step.source, message)
        known.unpublished.append((step.end, [message.ce_id for message in messages]))

    def _is_repeated(self, message: Event, ours: set[UUID]) -> bool:
        """Whether it is another partition's fact about a shared key, taken along as it was committed."""
        known = message.value in self._committed.get(message.ce_id, ())
        return known and message.topic in SHARED_KEYS and message.ce_id not in ours

    def _commit(self, source: Partition, message: Event) -> None:
        self._committed.setdefault(message.ce_id, set()).add(message.value)
        if message.ce_id not in self._place:
            chain = None if message.topic in SHARED_KEYS else source, message.topic, message.key
            self._place[message.ce_id] = chain, self._lengths.get(chain, 0)
            self._lengths[chain] = self._lengths.get(chain, 0) + 1

    def placed(self, source: Partition, offset: int) -> None:
        """An operator has spoken: from here on the partition goes on there."""
        known = self.partitions[source]
        self._world.note("operator", "places", source, f"from {known.next} at {offset}")
        known.next, known.furthest = offset, max(known.furthest, offset)

    # What is published, and what is forgotten.

    def appended(self, process: Process, message: Event) -> None:
        """Called for every message that a topic holds from now on."""
        ce_id, breaks = message.ce_id, self._world.breaks
        if message.value not in self._committed.get(ce_id, ()):
            breaks(DURABLE, f"{process.name} publishes {message.topic} {message.value!r}, which is not committed")
            return
        self._published.add((ce_id, message.value))
        if ce_id in self._first:
            return
        self._first.add(ce_id)
        chain, place = self._place[ce_id]
        if place != self._seen.get(chain, 0):
            breaks(ORDER, f"{process.name} publishes {message.value!r} of {chain}, number {place}, too early")
        self._seen[chain] = self._seen.get(chain, 0) + 1

    def forgotten(self, gone: Sequence[OutboxRow]) -> None:
        """Called when outbox rows are deleted."""
        for row in gone:
            missing = [m.value for m in row.events if (m.ce_id, m.value) not in self._published]
            if missing:
                self._world.breaks(ARRIVES, f"{row.key} is forgotten, but not published: {missing}")

    def offset_committed(self, process: Process, source: Partition, offset: int) -> None:
        known = self.partitions[source]
        owing = [(end, [i for i in ids if i not in self._first]) for end, ids in known.unpublished]
        known.unpublished = [(end, ids) for end, ids in owing if ids]
        if offset > known.furthest or any(end <= offset for end, _ in known.unpublished):
            self._world.breaks(OFFSETS, f"{process.name} commits {offset} of {source}")

    # How workers end.

    def fences(self, process: Process, lost: Mapping[Partition, str]) -> None:
        """`lost` are partitions that a worker is told it has lost, and who took or placed each last."""
        self._world.note(process.name, "is fenced", lost)
        self._world.count("fenced")
        process.fenced = process.fenced or bool(lost)
        if process.name in lost.values():
            self._world.breaks(ENDING, f"{process.name} is fenced, but nobody has taken {lost}")

    def ends(self, process: Process, ending: ExitCode | BaseException) -> None:
        self._world.note(process.name, "ends", repr(ending))
        self._world.count(f"ends: {type(ending).__name__} {getattr(ending, 'name', '')}".rstrip())
        if (wrong := self._wrong(process, ending)) is not None:
            cause = getattr(ending, "__cause__", None)
            self._world.breaks(ENDING, f"{process.name}: {ending!r} {wrong}" + (f" (from {cause!r})" if cause else ""))
        # A cause that an operator has moved away, or that was a mood, cannot be seen any more.
        weather = self._world.weather
        lasting = not weather.moody and not {"rewind", "skip"} & {*weather.blows}
        accepted = self.accepted_by[process.name]
        if ending is ExitCode.STOPPED_THE_LINE and lasting and not self._stands_at_a_halt(accepted):
            self._world.breaks(LINE, f"{process.name} stops without cause")

    def _wrong(self, process: Process, ending: ExitCode | BaseException) -> str | None:
        if isinstance(ending, BaseException):
            return None if _bearable(ending) else "is a bug"
        if ending in (ExitCode.CLEAN, ExitCode.FAULT) and not process.stopping:
            return "although nobody asked it to stop"
        if process.fenced and ending not in (ExitCode.FENCED, ExitCode.STOPPED_THE_LINE):
            return "although it was fenced"
        if ending is ExitCode.FENCED and not process.fenced:
            return "although it was not fenced"
        return None

    def _stands_at_a_halt(self, accepted: AcceptedBad) -> bool:
        return any(self._halt(source, accepted) is not None for source in self.partitions)

    def _halt(self, source: Partition, accepted: AcceptedBad) -> int | None:
        """The offset at or before which a worker that accepts so much must stop."""
        known = self.partitions[source]
        rest = (raw for raw in known.log if raw.offset >= (known.next or 0))
        following = next(rest, None)
        bad = known.bad_before(known.next or 0)
        # Moody records may have been refused when the line stopped.
        if following is not None and (following.value or b"").endswith((b"bad", b"refused", b"moody")):
            bad.append(following.offset)
        return _halting(bad, 0, accepted.get(source, 0))

    def accept(self) -> None:
        """A person looks at where the line stands, and accepts what is bad there."""
        for source, known in self.partitions.items():
            halt = self._halt(source, self.accepted)
            if halt is not None:
                self.accepted[source] = max(halt, known.next or 0) + 1 + self._world.dice.randint(0, 3)
                self._world.note("operator", "accepts bad records", source, f"until {self.accepted[source]}")

    # The end.

    def behind(self) -> list[str]:
        """What is not applied or not published yet."""
        late = [
            f"{source} stands at {known.next} of {known.end}"
            for source, known in self.partitions.items()
            if known.end and known.next != known.end
        ]
        wanting = [
            value for i, values in self._committed.items() for value in values if (i, value) not in self._published
        ]
        return late + [f"{value!r} is not published" for value in wanting]


def _offset_of(message: Event) -> int:
    return int(dict(message.headers).get("source_offset") or -1)


def _bearable(ending: BaseException) -> bool:
    """Servers that were gone for too long. Every other way to give up would be wrong here."""
    lost_too_often = "lost its connection" in str(ending) or "conflicts do not end" in str(ending)
    return isinstance(ending, SluiceError) and (type(ending).__name__ == "Unreachable" or lost_too_often)


def _halting(bad: Sequence[int], begin: int, accepted: int) -> int | None:
    """The first bad record at or after `begin` that makes too many among the last ones; counted the slow way."""
    for offset in bad:
        if offset >= max(begin, accepted):
            window = [other for other in bad if max(accepted, offset - bad_record_limit.WINDOW + 1) <= other <= offset]
            if len(window) >= bad_record_limit.BAD_RECORD_LIMIT:
                return offset
    return None
