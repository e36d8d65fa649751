"""Logins to real Kafka over TLS, and what a refused one is told."""

import pytest

from tests.support.guarded_kafka import Guarded
from workers.app.settings import load_settings
from workers.errors import SetupError
from workers.kafka.brokers import reached

pytestmark = pytest.mark.kafka


async def test_a_login_by_scram_over_tls_is_accepted(guarded: Guarded) -> None:
    await reached(load_settings(**guarded.by_scram("ada")).kafka())


async def test_a_wrong_password_is_told_by_its_variable(guarded: Guarded) -> None:
    settings = load_settings(**guarded.by_scram("ada") | {"kafka_password": "wrong"})

    with pytest.raises(SetupError, match="SLUICE_KAFKA_USERNAME or SLUICE_KAFKA_PASSWORD is wrong"):
        await reached(settings.kafka())


async def test_a_certificate_of_an_unknown_authority_is_told_by_its_variable(guarded: Guarded) -> None:
    settings = load_settings(**guarded.by_scram("ada") | {"kafka_ca_file": None})

    with pytest.raises(SetupError, match="checked against SLUICE_KAFKA_CA_FILE"):
        await reached(settings.kafka())
