"""From settings to clients: the arguments for TLS and SASL, and secrets that never appear."""

from pathlib import Path

import pytest

from workers.app.settings import load_settings
from workers.errors import SettingsError
from workers.kafka.connection import Kafka

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
        "connections_max_idle_ms": 180_000,
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


TLS = Path(__file__).resolve().parents[1] / "support" / "tls"
GOOD = {"kafka_certificate_file": TLS / "certificate.pem", "kafka_key_file": TLS / "key.pem"}


@pytest.mark.parametrize(
    ("setting", "content", "told"),
    [
        *(
            (setting, None, "cannot be read: No such file or directory")
            for setting in ("kafka_ca_file", "kafka_certificate_file", "kafka_key_file")
        ),
        ("kafka_ca_file", SECRET, "holds no certificate in PEM form"),
        ("kafka_ca_file", "", "holds no certificate in PEM form"),
        ("kafka_ca_file", (TLS / "key.pem").read_text(), "holds no certificate in PEM form"),
        ("kafka_certificate_file", SECRET, "holds no certificate in PEM form"),
        ("kafka_key_file", SECRET, "holds no private key in PEM form"),
        ("kafka_key_file", (TLS / "certificate.pem").read_text(), "holds no private key in PEM form"),
        ("kafka_key_file", (TLS / "other-key.pem").read_text(), "holds the key of another certificate"),
        ("kafka_key_file", (TLS / "encrypted-key.pem").read_text(), "is encrypted"),
    ],
)
def test_a_file_that_cannot_be_used_is_told_by_its_variable(
    elsewhere: Path, setting: str, content: str | None, told: str
) -> None:
    file = elsewhere / "file.pem"
    if content is not None:
        file.write_text(content, encoding="utf-8")
    with pytest.raises(SettingsError) as refusal:
        kafka(kafka_security_protocol="SSL", **(GOOD | {setting: file}))
    assert str(refusal.value).startswith(f"SLUICE_{setting.upper()} {told}")
    assert SECRET not in str(refusal.value)
    assert "\n" not in str(refusal.value)


def test_a_folder_is_no_file(elsewhere: Path) -> None:
    with pytest.raises(SettingsError, match="SLUICE_KAFKA_CA_FILE cannot be read: Is a directory"):
        kafka(kafka_security_protocol="SSL", kafka_ca_file=elsewhere)


def test_files_that_can_be_used_are_used() -> None:
    context = kafka(kafka_security_protocol="SSL", kafka_ca_file=TLS / "certificate.pem", **GOOD).security[
        "ssl_context"
    ]
    assert context.cert_store_stats()["x509_ca"] == 1


@pytest.mark.parametrize("name", ["sslrootcert", "sslcert", "sslkey", "sslcrl"])
def test_a_file_of_the_database_url_is_looked_for_at_once(name: str) -> None:
    settings = load_settings(database_url=f"postgresql://u:{SECRET}@h/d?sslmode=verify-full&{name}=/nowhere/file.pem")
    with pytest.raises(SettingsError, match=f"SLUICE_DATABASE_URL: the file of `{name}` cannot be read"):
        settings.required_database_url()


def test_without_brokers_or_database_it_says_which_variable() -> None:
    with pytest.raises(SettingsError, match="SLUICE_KAFKA_BOOTSTRAP is not set"):
        load_settings().kafka()
    with pytest.raises(SettingsError, match="SLUICE_DATABASE_URL is not set"):
        load_settings().required_database_url()


def test_names_of_topics_carry_the_prefix_there_and_back() -> None:
    cluster = kafka(topic_prefix="eu.")
    assert cluster.topic("messages.inbound") == "eu.messages.inbound"
    assert cluster.name("eu.messages.inbound") == "messages.inbound"
