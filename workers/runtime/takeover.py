"""Takes partitions over before polling: takes the leases, publishes the outbox, and seeks to the offsets of the rows.

Kafka's committed offsets play no part: they say what is published, the rows say what is applied.
"""

from collections.abc import Iterable, Mapping

import structlog

from workers.errors import PositionLost
from workers.records import Lease, Partition
from workers.runtime import lag
from workers.runtime.decoding import Position
from workers.runtime.portions import pace_after_crash
from workers.runtime.ports import Assigned, InputTopics, Ledger, OutputTopics, Probe

log = structlog.get_logger()


class TakeOver:
    """Takes partitions over for one worker."""

    def __init__(self, input_: InputTopics, output: OutputTopics, ledger: Ledger, probe: Probe) -> None:
        self._input = input_
        self._output = output
        self._ledger = ledger
        self._probe = probe

    async def __call__(self, assigned: Assigned) -> dict[Partition, Position]:
        """The positions of the partitions that are ours now.

        Raises:
            PositionLost: the next record to apply is no longer there.
            Unreachable, SetupError, ConnectionLost: as the ports say.
        """
        taken = await self._leases(assigned)
        await self._probe("leases_taken")
        for lease in taken:
            await self._publish_outbox(lease.source)
        await self._probe("outbox_published")
        bounds = await self._input.bounds([lease.source for lease in taken])
        positions = {lease.source: self._stand(lease, bounds) for lease in taken}
        for source, position in positions.items():
            begin, end = bounds[source]
            lag.hold(source, begin if position.next_offset is None else position.next_offset, end)
        # Also of partitions of which nothing is applied: tools that read lag from Kafka take no offset for no lag.
        published = {s: bounds[s][0] if p.next_offset is None else p.next_offset for s, p in positions.items()}
        if published and self._input.is_current(assigned.assignment):
            await self._input.commit(published)
        if not assigned.sources:
            log.warning(
                "There are more workers than partitions: this one waits until another one leaves.",
                action="no_partitions",
            )
        if positions:
            log.info("Partitions taken over.", action="taken_over", partitions=_by_topic(positions))
        if orphans := [lease.source for lease in taken if lease.orphaned]:
            log.info(
                "The last owner did not release these partitions; they begin with small transactions.",
                action="orphans",
                partitions=_by_topic(orphans),
            )
        return positions

    async def _leases(self, assigned: Assigned) -> list[Lease]:
        taken = []
        for source in sorted(assigned.sources):
            if not self._input.is_current(assigned.assignment):
                break
            lease = await self._ledger.take(assigned.generation, source)
            if lease is None:
                log.warning(
                    "A newer member of the group has this partition.",
                    action="lease_refused",
                    topic=source.topic,
                    partition=source.partition,
                )
            else:
                taken.append(lease)
        return taken

    async def _publish_outbox(self, source: Partition) -> None:
        for row in await self._ledger.outbox(source):
            await self._output.publish(row.events)
            await self._probe("repeated")
            await self._ledger.forget_published([row.key])

    def _stand(self, lease: Lease, bounds: Mapping[Partition, tuple[int, int]]) -> Position:
        begin, end = bounds[lease.source]
        pace = pace_after_crash(lease.tried) if lease.orphaned else None
        if lease.next_offset is None:
            self._input.seek(lease.source, begin)
            return Position(None, pace=pace)
        if not begin <= lease.next_offset <= end:
            raise PositionLost(
                f"{lease.source.topic}[{lease.source.partition}]: the next record to apply is {lease.next_offset}, "
                f"but the topic holds {begin} to {end}: retention deleted records, or the topic was created again. "
                "Decide with `sluice progress`"
            )
        # Reads the last applied record again, if it is still kept, to check that the topic is the same.
        known = lease.last if lease.last is not None and lease.last.offset >= begin else None
        self._input.seek(lease.source, lease.next_offset if known is None else known.offset)
        return Position(lease.next_offset, known, lease.bad, pace)


def _by_topic(sources: Iterable[Partition]) -> dict[str, list[int]]:
    found: dict[str, list[int]] = {}
    for topic, partition in sorted(sources):
        found.setdefault(topic, []).append(partition)
    return found
