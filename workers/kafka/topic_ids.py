"""Fetches partitions by the id of their topic, so that a broker refuses fetches once the topic was created again.

A name leads to whatever topic has it now. aiokafka only fetches by name.
"""

from collections.abc import Collection, Iterator
from functools import partial
from typing import Any, Final, NamedTuple

from aiokafka import AIOKafkaConsumer, TopicPartition
from aiokafka import errors as kafka
from aiokafka.protocol.fetch import FetchRequest

from workers.kafka.topic_id_requests import NO_TOPIC_ID, FetchByIdRequest, FetchRequestV13, TopicIdsRequest
from workers.process.failure_deadline import FailureDeadline

UNKNOWN_TOPIC_ID: Final = 100
INCONSISTENT_TOPIC_ID: Final = 103
_ANSWER_S: Final = 10.0


class Fetched(NamedTuple):
    """The answer to a fetch for one partition. `aborted` are producers of aborted transactions with the first offset of
    each; `records` are bytes of record batches.
    """

    partition: TopicPartition
    error_code: int
    highwater: int
    last_stable: int
    aborted: list[tuple[int, int]]
    records: bytes


class TopicIds:
    """The topic ids by which the partitions of a started consumer are fetched: those of the last `note`."""

    def __init__(self, member: AIOKafkaConsumer) -> None:
        self._client: Any = member._client  # noqa: SLF001 - aiokafka has no other way to send requests of ours
        self._ids: dict[TopicPartition, bytes] = {}

    async def note(self, partitions: Collection[TopicPartition], unreachable_after_s: float) -> None:
        """From now on these partitions are fetched by the ids that their topics have now. Where the cluster has no
        topic ids, they are fetched by name.

        Raises:
            Unreachable: no broker has answered for so long.
        """
        deadline = FailureDeadline(unreachable_after_s, "Kafka does not return the ids of the input topics")
        topics = {partition.topic for partition in partitions}
        ids = await deadline.insist(partial(self._asked, topics), (kafka.KafkaError,), longest_s=_ANSWER_S)
        for each in partitions:
            self._ids.pop(each, None)
            if each.topic in ids:
                self._ids[each] = ids[each.topic]

    async def _asked(self, topics: Collection[str]) -> dict[str, bytes]:
        try:
            answer = await self._client.send(self._client.get_random_node(), TopicIdsRequest(topics))
        except NotImplementedError:
            return {}
        # A topic that does not exist keeps its lack of an id: the broker refuses the fetch, and we ask again.
        return {topic: id_ for code, topic, id_, *_ in answer.topics if code or id_ != NO_TOPIC_ID}

    def by_id(self, request: FetchRequest, asked: Collection[TopicPartition]) -> "FetchRequest | FetchByIdRequest":
        """The request by topic ids if the ids of all partitions asked for are known."""
        ids = {partition: self._ids[partition] for partition in asked if partition in self._ids}
        return FetchByIdRequest(request, ids) if len(ids) == len(asked) else request

    def answers(self, response: Any, asked: Collection[TopicPartition]) -> Iterator[Fetched]:
        """What came for the partitions asked for. Leaves out those whose topic id has changed since."""
        by_id = response.API_VERSION >= FetchRequestV13.API_VERSION
        named = {(self._ids.get(each) if by_id else each.topic, each.partition): each for each in asked}
        # Version 11 has the preferred replica after the transactions. Versions before 4 have none; Kafka is newer.
        aborted_at = -3 if response.API_VERSION >= 11 else -2
        for topic, partitions, *_ in response.topics:
            for number, code, highwater, stable, *rest in partitions:
                if by_id:
                    rest.pop()  # tagged fields
                aborted = [(producer, first) for producer, first, *_ in rest[aborted_at] or ()]
                if (partition := named.get((topic, number))) is not None:
                    yield Fetched(partition, code, highwater, stable, aborted, rest[-1] or b"")
