"""librdkafka's mock cluster through its C interface: the Python binding can start one, but not configure it.

That interface is experimental: tests/dev/test_broker.py checks the parts that are used here.
"""

import ctypes
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any, Final

from workers.errors import SetupError

_PRODUCER: Final = 0
_BROKER: Final = 1
_METADATA: Final = 3
_TEXT: Final = ctypes.c_char_p
_HANDLE: Final = ctypes.c_void_p


class MockCluster:
    """One broker in this process, at `address` (host:port)."""

    def __init__(self, library: Any, cluster: Any) -> None:
        self._library = library
        self._cluster = cluster
        self.address: str = library.rd_kafka_mock_cluster_bootstraps(cluster).decode()

    def advertise(self, host: str, port: int) -> None:
        """Tells clients this address instead of its own."""
        self._library.rd_kafka_mock_broker_set_host_port(self._cluster, _BROKER, host.encode(), port)

    def begin_groups_at_once(self) -> None:
        """The first member of a group does not wait for others, by default for 3 seconds."""
        self._library.rd_kafka_mock_group_initial_rebalance_delay_ms(self._cluster, 0)

    def make(self, topic: str, partitions: int) -> None:
        """Creates a topic before any client asks for it."""
        self._library.rd_kafka_mock_topic_create(self._cluster, topic.encode(), partitions, 1)

    def speak_metadata(self, first: int, last: int) -> None:
        """Accepts metadata requests of these versions only."""
        self._library.rd_kafka_mock_set_apiversion(self._cluster, _METADATA, first, last)


@contextmanager
def mock_cluster() -> Iterator[MockCluster]:
    """Runs a cluster; it ends with the context.

    Raises:
        SetupError: the extra is not installed.
    """
    library = _library()
    problem = ctypes.create_string_buffer(512)
    configuration = library.rd_kafka_conf_new()
    for name, value in ((b"test.mock.num.brokers", b"1"), (b"log_level", b"0")):
        library.rd_kafka_conf_set(configuration, name, value, problem, len(problem))
    owner = library.rd_kafka_new(_PRODUCER, configuration, problem, len(problem))
    if not owner:
        raise SetupError(f"the embedded broker does not start: {problem.value.decode(errors='replace')}")
    try:
        cluster = MockCluster(library, library.rd_kafka_handle_mock_cluster(owner))
        cluster.begin_groups_at_once()
        yield cluster
    finally:
        library.rd_kafka_destroy(owner)


def _library() -> Any:
    try:
        from confluent_kafka import cimpl  # noqa: PLC0415 - an extra; only who wants it pays for it
    except ImportError as error:
        raise SetupError("the embedded broker is not installed: pip install 'sluice[embedded]'") from error
    library = ctypes.CDLL(cimpl.__file__)  # finds the libraries that it is linked with
    for name, returned, arguments in (
        ("rd_kafka_conf_new", _HANDLE, []),
        ("rd_kafka_conf_set", ctypes.c_int, [_HANDLE, _TEXT, _TEXT, _TEXT, ctypes.c_size_t]),
        ("rd_kafka_new", _HANDLE, [ctypes.c_int, _HANDLE, _TEXT, ctypes.c_size_t]),
        ("rd_kafka_destroy", None, [_HANDLE]),
        ("rd_kafka_handle_mock_cluster", _HANDLE, [_HANDLE]),
        ("rd_kafka_mock_cluster_bootstraps", _TEXT, [_HANDLE]),
        ("rd_kafka_mock_broker_set_host_port", None, [_HANDLE, ctypes.c_int32, _TEXT, ctypes.c_int]),
        ("rd_kafka_mock_group_initial_rebalance_delay_ms", None, [_HANDLE, ctypes.c_int32]),
        ("rd_kafka_mock_topic_create", ctypes.c_int, [_HANDLE, _TEXT, ctypes.c_int, ctypes.c_int]),
        ("rd_kafka_mock_set_apiversion", ctypes.c_int, [_HANDLE, *[ctypes.c_int16] * 3]),
    ):
        function = getattr(library, name)
        function.restype, function.argtypes = returned, arguments
    return library
