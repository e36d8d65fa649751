"""What slow tests of operations share. They run with `make test-operations`, a third of the files each time."""

from collections.abc import Iterator

import pytest

from tests.support.guarded_kafka import Guarded, guarded_kafka
from tests.support.kafka import demand


@pytest.fixture(scope="module")
def guarded() -> Iterator[Guarded]:
    """Real Kafka with TLS, logins and an authorizer, for one file."""
    demand()
    with guarded_kafka() as opened:
        yield opened
