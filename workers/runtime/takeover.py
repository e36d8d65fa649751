"""What a new owner does before it polls: take the leases, publish what is owed, and stand where the rows say.

Kafka's committed offsets play no part: they say what is published, the rows say what is applied.
"""

from collections.abc import Mapping

import structlog

from workers.errors import PositionLost
from workers.runtime.batch import Source
from workers.runtime.intake import Position
from workers.runtime.ports import Assigned, Input, Ledger, Output, Probe, Taken

log = structlog.get_logger()


class TakeOver:
    """Takes partitions over for one worker."""

    def __init__(self, input_: Input, output: Output, ledger: Ledger, probe: Probe) -> None:
        self._input = input_
        self._output = output
        self._ledger = ledger
        self._probe = probe

    async def __call__(self, assigned: Assigned) -> dict[Source, Position]:
        """The positions of the partitions that are ours now.

        Raises:
            PositionLost: the next record to apply is not there any more.
            Unreachable, SetupError, ConnectionLost: as the ports say.
        """
        taken = await self._leases(assigned)
        await self._probe("leases_taken")
        for lease in taken:
            await self._publish_owed(lease.source)
        await self._probe("owed_published")
        bounds = await self._input.bounds([lease.source for lease in taken])
        positions = {lease.source: self._stand(lease, bounds) for lease in taken}
        published = {s: p.next_offset for s, p in positions.items() if p.next_offset is not None}
        if published:
            await self._input.commit(published)
        if not assigned.sources:
            log.warning(
                "There are more workers than partitions: this one has nothing to do until another one leaves.",
                action="no_partitions",
            )
        log.info("Partitions taken over.", action="taken_over", partitions=len(positions))
        return positions

    async def _leases(self, assigned: Assigned) -> list[Taken]:
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

    async def _publish_owed(self, source: Source) -> None:
        for owed in await self._ledger.owed(source):
            await self._output.publish(owed.facts)
            await self._probe("repeated")
            await self._ledger.settle([owed.key])

    def _stand(self, lease: Taken, bounds: Mapping[Source, tuple[int, int]]) -> Position:
        begin, end = bounds[lease.source]
        if lease.next_offset is None:
            self._input.seek(lease.source, begin)
            return Position(None)
        if not begin <= lease.next_offset <= end:
            raise PositionLost(
                f"{lease.source.topic}[{lease.source.partition}]: the next record to apply is {lease.next_offset}, "
                f"but the topic holds {begin} to {end}: records were lost to retention, or the topic was made anew. "
                "Decide with `sluice progress`"
            )
        # The record before the next one is read again where it is still kept, to see that the topic is the same.
        verifiable = lease.last is not None and lease.next_offset > begin
        self._input.seek(lease.source, lease.next_offset - 1 if verifiable else lease.next_offset)
        return Position(lease.next_offset, lease.last if verifiable else None, lease.bad)
