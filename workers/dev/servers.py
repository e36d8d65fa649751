"""Embedded servers, schema, topics and every worker on one machine, for `sluice dev` and the demo."""

import fcntl
import secrets
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Final

from aiokafka import AIOKafkaProducer

from schemas.topics import EVERY_TOPIC
from workers.app.settings import Settings, load_settings
from workers.dev.broker import embedded_broker, guarded_broker
from workers.dev.postgres import embedded_postgres, guarded_postgres
from workers.dev.relay import LOOPBACK, listening, port_of
from workers.errors import SettingsError
from workers.kafka.connection import Kafka
from workers.store.migrate import migrate

KAFKA_PORT: Final = 9092
POSTGRES_PORT: Final = 5432

# The embedded broker uses plain text, whatever .env has for the real one.
_PLAIN: Final[Mapping[str, Any]] = {
    "kafka_security_protocol": "PLAINTEXT",
    "kafka_sasl_mechanism": None,
    "kafka_username": None,
    "kafka_password": None,
    "kafka_ca_file": None,
    "kafka_certificate_file": None,
    "kafka_key_file": None,
}


@contextmanager
def embedded_servers(
    data_dir: Path, postgres_options: Mapping[str, str] | None = None, **overrides: Any
) -> Iterator[Settings]:
    """PostgreSQL on `data_dir` (kept) and a broker in memory (a new one each time); yields settings for them.

    Raises:
        SettingsError: the folder cannot be used, or another process uses it.
        SetupError: the extra `embedded` is not installed.
    """
    with (
        _only_one(data_dir),
        embedded_postgres(data_dir / "postgres", postgres_options) as database_url,
        embedded_broker() as bootstrap,
    ):
        own = {"database_url": database_url, "kafka_bootstrap": bootstrap, "hash_key": _kept_key(data_dir / "hash.key")}
        yield load_settings(**{**_PLAIN, **own, **overrides})


@contextmanager
def open_servers(
    data_dir: Path, kafka_port: int | None, postgres_port: int | None, **overrides: Any
) -> Iterator[Settings]:
    """As `embedded_servers`, for other programs on this machine as well: on TCP ports of the loopback, with only
    Sluice's topics. A port that is None is the usual one if that is free.

    Raises:
        SettingsError: the folder cannot be used, another process uses it, or a port is in use.
        SetupError: the extra `embedded` is not installed.
    """
    with (
        _only_one(data_dir),
        listening(kafka_port, KAFKA_PORT, "--kafka-port") as kafka,
        listening(postgres_port, POSTGRES_PORT, "--postgres-port") as postgres,
        guarded_postgres(data_dir / "postgres", postgres, _kept_key(data_dir / "postgres.password")) as database_url,
    ):
        bootstrap = f"{LOOPBACK}:{port_of(kafka)}"
        own = {"database_url": database_url, "kafka_bootstrap": bootstrap, "hash_key": _kept_key(data_dir / "hash.key")}
        settings = load_settings(**{**_PLAIN, **own, **overrides})
        with guarded_broker(kafka, {settings.kafka().topic(name) for name in EVERY_TOPIC}):
            yield settings


@contextmanager
def _only_one(data_dir: Path) -> Iterator[None]:
    if any(character.isspace() for character in str(data_dir)):
        raise SettingsError(f"PostgreSQL cannot keep its data in {str(data_dir)!r}: there is white space in the path")
    try:
        data_dir.mkdir(parents=True, exist_ok=True)
        lock = (data_dir / "lock").open("w")
    except OSError as error:
        raise SettingsError(f"the data folder {data_dir} cannot be used: {error.strerror}") from error
    with lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            # Two brokers on one database would each reset the progress of the other one.
            raise SettingsError(f"another process uses the data folder {data_dir}") from None
        yield


async def prepare(settings: Settings) -> None:
    """Migrates the schema and lets the embedded broker create the topics, which it does on request."""
    await migrate(settings.required_database_url())
    await _touch_topics(settings.kafka())


async def _touch_topics(cluster: Kafka) -> None:
    producer = AIOKafkaProducer(**cluster.clients("dev"))
    await producer.start()
    try:
        for name in EVERY_TOPIC:
            await producer.partitions_for(cluster.topic(name))
    finally:
        await producer.stop()


def _kept_key(path: Path) -> str:
    if not path.exists():
        path.touch(mode=0o600)
        path.write_text(secrets.token_hex(32), encoding="ascii")
    return path.read_text(encoding="ascii").strip()
