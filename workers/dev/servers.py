"""Everything on one machine, for trying out and for the demo: embedded servers, schema, topics, every worker."""

import os
import secrets
import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

from aiokafka import AIOKafkaProducer

from schemas.topics import TOPICS
from workers.dev.broker import embedded_broker
from workers.dev.postgres import embedded_postgres
from workers.runtime.connection import Kafka
from workers.settings import Settings, load_settings
from workers.store.migrate import migrate


@contextmanager
def embedded_servers(data_dir: Path, **overrides: object) -> Iterator[Settings]:
    """PostgreSQL on `data_dir` (kept) and a broker in memory (a new one each time); yields settings for them."""
    with embedded_postgres(data_dir / "postgres") as database_url, embedded_broker() as bootstrap:
        yield load_settings(
            database_url=database_url, kafka_bootstrap=bootstrap, hash_key=_kept_key(data_dir / "hash.key"), **overrides
        )


async def prepare(settings: Settings) -> None:
    """Bring the schema up to date and let the embedded broker make the topics: it makes what is asked for."""
    await migrate(settings.required_database_url())
    cluster = settings.kafka()
    await _touch_topics(cluster)


async def _touch_topics(cluster: Kafka) -> None:
    producer = AIOKafkaProducer(**cluster.clients("dev"))
    await producer.start()
    try:
        for name in TOPICS:
            await producer.partitions_for(cluster.topic(name))
    finally:
        await producer.stop()


def env_file_writer(path: Path, settings: Settings) -> Callable[[], None]:
    """Writes the addresses as `SLUICE_…=` lines, all at once: whoever sees the file may connect."""
    lines = {
        "SLUICE_DATABASE_URL": settings.required_database_url(),
        "SLUICE_KAFKA_BOOTSTRAP": settings.kafka().bootstrap,
        "SLUICE_TOPIC_PREFIX": settings.topic_prefix,
        "SLUICE_GROUP_PREFIX": settings.group_prefix,
        "SLUICE_HASH_KEY": settings.hash_key.get_secret_value() if settings.hash_key else "",
    }
    text = "".join(f"{name}={value}\n" for name, value in lines.items() if value)

    def write() -> None:
        # It holds a key and perhaps a password: for its owner only, and never half-written.
        handle, temporary = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name}.")
        with os.fdopen(handle, "w", encoding="utf-8") as file:
            file.write(text)
        Path(temporary).replace(path)

    return write


def _kept_key(path: Path) -> str:
    path.parent.mkdir(parents=True, exist_ok=True)
    if not path.exists():
        path.touch(mode=0o600)
        path.write_text(secrets.token_hex(32), encoding="ascii")
    return path.read_text(encoding="ascii").strip()
