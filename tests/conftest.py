"""Fixtures for every test; what they give is described in tests/support/__init__.py."""

import logging
import os
import tempfile
import uuid
from collections.abc import AsyncIterator, Iterator
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
import structlog
from asyncpg import Pool

from tests.support.brokers import Broker
from tests.support.databases import HASH_KEY, Databases, InATransaction, rolling_back
from tests.support.kafka import KafkaServer, demand, real_kafka
from tests.support.sharing import InOneGo
from workers.dev.broker import embedded_broker
from workers.dev.postgres import embedded_postgres
from workers.rules import closing
from workers.rules.address_hashes import HashKeys
from workers.store import address_hashes
from workers.store.pool import pool_of


@pytest.hookimpl(optionalhook=True)
def pytest_xdist_make_scheduler(config: pytest.Config, log: Any) -> InOneGo:
    """With several processes: who runs what."""
    return InOneGo(config, log)


@pytest.fixture(autouse=True)
def _logs_of_its_own() -> Iterator[None]:
    """A command run inside a test binds logging to that test's standard error, which is closed afterwards."""
    before = list(logging.root.handlers)
    yield
    for handler in list(logging.root.handlers):
        if type(handler) is logging.StreamHandler and handler not in before:
            logging.root.removeHandler(handler)
    structlog.reset_defaults()


@pytest.fixture
def _cycles_stay_open(monkeypatch: pytest.MonkeyPatch) -> None:
    """No fact is late, however old what it is about is."""
    monkeypatch.setattr(closing, "DEFAULT_GRACE", timedelta(days=20_000))


@pytest.fixture(autouse=True)
def _keys_of_its_own() -> None:
    """Workers that ran inside another test set the keys of their settings."""
    address_hashes.use(HashKeys(bytes.fromhex(HASH_KEY)))


@pytest.fixture(scope="session")
def autovacuum() -> str:
    """It would change statistics whenever it likes: a database that was emptied would not be as new."""
    return "off"


@pytest.fixture(scope="session")
def postgres_url(autovacuum: str) -> Iterator[str]:
    """One PostgreSQL for the whole run; durability is off because nothing of it outlives the run."""
    options = {
        "autovacuum": autovacuum,
        "fsync": "off",
        "synchronous_commit": "off",
        "full_page_writes": "off",
        "max_connections": "200",
    }
    with (
        tempfile.TemporaryDirectory(prefix="sluice-postgres-", ignore_cleanup_errors=True) as folder,
        embedded_postgres(Path(folder) / "data", options) as url,
    ):
        yield url


@pytest.fixture(scope="session")
def databases(postgres_url: str) -> Databases:
    return Databases(postgres_url, template=f"sluice_template_{os.getpid()}")


@pytest.fixture
async def database(databases: Databases) -> AsyncIterator[str]:
    async with databases.migrated() as url:
        yield url


@pytest.fixture
async def empty_database(databases: Databases) -> AsyncIterator[str]:
    async with databases.empty() as url:
        yield url


@pytest.fixture
async def pool(database: str) -> AsyncIterator[Pool]:
    async with pool_of(database, name="test") as opened:
        yield opened


@pytest.fixture
def in_a_transaction(database: str) -> Iterator[InATransaction]:
    with rolling_back(database) as run:
        yield run


@pytest.fixture
def broker() -> Iterator[Broker]:
    with embedded_broker() as bootstrap:
        yield Broker("embedded", bootstrap)


@pytest.fixture(scope="session")
def kafka_server() -> Iterator[KafkaServer]:
    demand()
    with real_kafka() as server:
        yield server


@pytest.fixture
def kafka(kafka_server: KafkaServer) -> Broker:
    name = uuid.uuid4().hex[:8]
    return Broker("kafka", kafka_server.bootstrap, f"t{name}.", f"g{name}")


@pytest.fixture(params=["embedded", pytest.param("kafka", marks=pytest.mark.kafka)])
def any_broker(request: pytest.FixtureRequest) -> Broker:
    chosen: Broker = request.getfixturevalue("broker" if request.param == "embedded" else "kafka")
    return chosen
