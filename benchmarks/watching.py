"""Progress, watched from outside: how much is published, or how far a group has committed. One request each time."""

import time
from collections.abc import Iterable, Sequence
from typing import Final

from confluent_kafka import ConsumerGroupTopicPartitions, IsolationLevel, KafkaException, TopicPartition
from confluent_kafka.admin import AdminClient, OffsetSpec  # type: ignore[attr-defined] # as documented

from benchmarks.load import PARTITIONS

Ends = dict[tuple[str, int], int]
"""By topic and partition: the offset of the next record."""


class Offsets:
    """Asks a broker."""

    def __init__(self, bootstrap: str) -> None:
        self._admin: Final = AdminClient({"bootstrap.servers": bootstrap, "log_level": 2})

    def ends(self, topics: Iterable[str]) -> Ends:
        """Where topics end: everything before is readable."""
        wanted = {TopicPartition(t, p): OffsetSpec.latest() for t in topics for p in range(PARTITIONS)}
        asked = self._admin.list_offsets(wanted, isolation_level=IsolationLevel.READ_UNCOMMITTED)
        return {(where.topic, where.partition): answer.result().offset for where, answer in asked.items()}

    def await_leaders(self, topics: Sequence[str]) -> None:
        """Returns once the broker leads topics that were just made.

        Raises:
            KafkaException: it does not within half a minute.
        """
        deadline = time.monotonic() + 30
        while True:
            try:
                self.ends(topics)
            except KafkaException:
                if time.monotonic() > deadline:
                    raise
                time.sleep(0.1)
            else:
                return

    def committed(self, group: str, topics: Iterable[str]) -> Ends:
        """How far a consumer group has committed; partitions without are left out."""
        wanted = set(topics)
        asked = self._admin.list_consumer_group_offsets([ConsumerGroupTopicPartitions(group)])
        found = asked[group].result().topic_partitions
        return {(w.topic, w.partition): w.offset for w in found if w.topic in wanted and w.offset >= 0}

    def forget(self, topic: str) -> None:
        """Deletes what a topic holds: a new group begins with what comes next."""
        ends = self.ends([topic])
        asked = self._admin.delete_records([TopicPartition(t, p, end) for (t, p), end in ends.items() if end])
        for answer in asked.values():
            answer.result()
