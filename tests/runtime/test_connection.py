"""From settings to clients: what TLS and SASL become, and what is never shown."""

from pathlib import Path

import pytest

from workers.errors import SettingsError
from workers.runtime.connection import Kafka
from workers.settings import load_settings

SECRET = "geheim"  # noqa: S105 - nobody's
LOGIN = {"kafka_bootstrap": "h:9092", "kafka_username": "u", "kafka_password": SECRET}


@pytest.fixture(autouse=True)
def elsewhere(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    return tmp_path


def kafka(**given: object) -> Kafka:
    return load_settings(**{"kafka_bootstrap": "h:9092", **given}).kafka()


def test_nothing_said_is_plain_text() -> None:
    assert kafka().clients("x") == {
        "bootstrap_servers": "h:9092",
        "client_id": "sluice-x",
        "security_protocol": "PLAINTEXT",
    }


@pytest.mark.parametrize(
    ("protocol", "mechanism"),
    [("SASL_PLAINTEXT", "SCRAM-SHA-256"), ("SASL_PLAINTEXT", "SCRAM-SHA-512"), ("SASL_SSL", "PLAIN")],
)
def test_a_login_reaches_the_client_and_nobody_else(protocol: str, mechanism: str) -> None:
    cluster = kafka(**LOGIN, kafka_security_protocol=protocol, kafka_sasl_mechanism=mechanism)
    arguments = cluster.clients("x")
    assert (arguments["sasl_mechanism"], arguments["sasl_plain_password"]) == (mechanism, SECRET)
    assert ("ssl_context" in arguments) == (protocol == "SASL_SSL")
    assert SECRET not in repr(cluster)


def test_tls_checks_names_and_certificates() -> None:
    context = kafka(kafka_security_protocol="SSL").clients("x")["ssl_context"]
    assert context.check_hostname
    assert context.verify_mode.name == "CERT_REQUIRED"


@pytest.mark.parametrize("content", [None, SECRET])
def test_a_certificate_that_cannot_be_used_is_told_in_one_line(elsewhere: Path, content: str | None) -> None:
    file = elsewhere / "ca.pem"
    if content is not None:
        file.write_text(content, encoding="utf-8")
    with pytest.raises(SettingsError, match="SLUICE_KAFKA_…_FILE cannot be used") as refusal:
        kafka(kafka_security_protocol="SSL", kafka_ca_file=file)
    assert SECRET not in str(refusal.value)
    assert "\n" not in str(refusal.value)


def test_without_brokers_or_database_it_says_which_variable() -> None:
    with pytest.raises(SettingsError, match="SLUICE_KAFKA_BOOTSTRAP is not set"):
        load_settings().kafka()
    with pytest.raises(SettingsError, match="SLUICE_DATABASE_URL is not set"):
        load_settings().required_database_url()


def test_names_of_topics_carry_the_prefix_there_and_back() -> None:
    cluster = kafka(topic_prefix="eu.")
    assert cluster.topic("messages.inbound") == "eu.messages.inbound"
    assert cluster.name("eu.messages.inbound") == "messages.inbound"
