"""Settings are checked before anything starts: one line that names the variable and never its value."""

from pathlib import Path

import pytest

from workers.app.composition import plan_of
from workers.app.settings import Settings, load_settings
from workers.errors import ExitCode, SettingsError

KEY = "0123456789abcdef" * 4
SECRET = "geheim"  # noqa: S105 - nobody's

LOGIN = {"SLUICE_KAFKA_SECURITY_PROTOCOL": "SASL_SSL"}
BY_TOKEN = {"SLUICE_KAFKA_SASL_MECHANISM": "OAUTHBEARER"}
NAMED = {"SLUICE_KAFKA_USERNAME": "u", "SLUICE_KAFKA_PASSWORD": SECRET}
COMMAND = {"SLUICE_KAFKA_TOKEN_COMMAND": f"sh -c 'echo {SECRET}'"}

REFUSED: list[tuple[dict[str, str], str]] = [
    ({"SLUICE_DATABASE_ULR": "x"}, "SLUICE_DATABASE_ULR is no setting of Sluice: is SLUICE_DATABASE_URL meant?"),
    ({"SLUICE_COLOUR": "x"}, "SLUICE_COLOUR is no setting of Sluice: see docs/settings.md"),
    ({"SLUICE_DATABASE_URL": f"mysql://u:{SECRET}@h/d"}, "SLUICE_DATABASE_URL: must be a libpq URL"),
    ({"SLUICE_DATABASE_URL": f"postgresql://u:a#{SECRET}@h/d"}, "percent-encoded"),
    ({"SLUICE_DATABASE_URL": f"postgresql://u:a?{SECRET}@h/d"}, "percent-encoded"),
    ({"SLUICE_DATABASE_URL": f"postgresql://u:a/{SECRET}@h/d"}, "percent-encoded"),
    ({"SLUICE_DATABASE_URL": f"postgresql://u:{SECRET}@h:port/d"}, "SLUICE_DATABASE_URL"),
    ({"SLUICE_DATABASE_URL": ""}, "SLUICE_DATABASE_URL"),
    ({"SLUICE_KAFKA_BOOTSTRAP": "no port"}, "SLUICE_KAFKA_BOOTSTRAP: must be host:port"),
    ({"SLUICE_KAFKA_BOOTSTRAP": "h:9092,"}, "SLUICE_KAFKA_BOOTSTRAP: must be host:port"),
    ({"SLUICE_TOPIC_PREFIX": "a/b"}, "SLUICE_TOPIC_PREFIX: may hold letters"),
    ({"SLUICE_GROUP_PREFIX": ""}, "SLUICE_GROUP_PREFIX: must not be empty"),
    ({"SLUICE_POLL_RECORDS": "many"}, "SLUICE_POLL_RECORDS: must be a whole number"),
    ({"SLUICE_POLL_RECORDS": "0"}, "SLUICE_POLL_RECORDS: must be at least 1"),
    ({"SLUICE_SESSION_TIMEOUT_MS": "60000"}, "SLUICE_SESSION_TIMEOUT_MS: must be at most 45000"),
    ({"SLUICE_UNREACHABLE_AFTER_S": "0"}, "SLUICE_UNREACHABLE_AFTER_S: must be more than 0"),
    ({"SLUICE_LOG_LEVEL": "loud"}, "SLUICE_LOG_LEVEL: must be 'debug'"),
    ({"SLUICE_HASH_KEY": SECRET}, "SLUICE_HASH_KEY: must be 64 hexadecimal digits"),
    ({"SLUICE_HASH_KEY": "00" * 32}, "SLUICE_HASH_KEY: is no random key"),
    ({"SLUICE_KAFKA_PASSWORD": SECRET}, "SLUICE_KAFKA_SECURITY_PROTOCOL does not log in"),
    ({"SLUICE_KAFKA_SECURITY_PROTOCOL": "SASL_SSL", "SLUICE_KAFKA_PASSWORD": SECRET}, "SLUICE_KAFKA_USERNAME"),
    (
        {
            "SLUICE_KAFKA_SECURITY_PROTOCOL": "SASL_PLAINTEXT",
            "SLUICE_KAFKA_SASL_MECHANISM": "PLAIN",
            "SLUICE_KAFKA_USERNAME": "u",
            "SLUICE_KAFKA_PASSWORD": SECRET,
        },
        "in clear",
    ),
    ({**LOGIN, **BY_TOKEN}, "SLUICE_KAFKA_SASL_MECHANISM OAUTHBEARER needs SLUICE_KAFKA_TOKEN_COMMAND"),
    ({**LOGIN, **BY_TOKEN, **COMMAND, "SLUICE_KAFKA_PASSWORD": SECRET}, "OAUTHBEARER logs in with a token"),
    ({**LOGIN, **COMMAND, "SLUICE_KAFKA_SASL_MECHANISM": "PLAIN", **NAMED}, "do not log in by OAUTHBEARER"),
    (COMMAND, "do not log in by OAUTHBEARER"),
    ({**BY_TOKEN, **COMMAND, "SLUICE_KAFKA_SECURITY_PROTOCOL": "SASL_PLAINTEXT"}, "in clear"),
    ({"SLUICE_KAFKA_TOKEN_COMMAND": f"sh '{SECRET}"}, "quoted as in a shell"),
    ({"SLUICE_KAFKA_TOKEN_COMMAND": f"{SECRET} --token"}, "must begin with a program that can be run"),
    ({"SLUICE_KAFKA_KEY_FILE": "key.pem"}, "must be set together"),
    ({"SLUICE_KAFKA_CA_FILE": "ca.pem"}, "SLUICE_KAFKA_SECURITY_PROTOCOL does not speak TLS"),
    ({"SLUICE_CONSOLE_PROXY_HEADER": "X-User"}, "is set without SLUICE_CONSOLE_PROXY_ADDRESSES"),
    ({"SLUICE_CONSOLE_PROXY_HEADER": "Cookie"}, "SLUICE_CONSOLE_PROXY_HEADER: must be the name of a header"),
    ({"SLUICE_CONSOLE_PROXY_HEADER": "X User"}, "SLUICE_CONSOLE_PROXY_HEADER: must be the name of a header"),
    ({"SLUICE_CONSOLE_PROXY_ADDRESSES": "proxy"}, "SLUICE_CONSOLE_PROXY_ADDRESSES: must be IP addresses"),
    ({"SLUICE_CONSOLE_PROXY_ADDRESSES": "10.0.0.5/8"}, "SLUICE_CONSOLE_PROXY_ADDRESSES: must be IP addresses"),
    ({"SLUICE_FETCH_MAX_WAIT_MS": "5000", "SLUICE_SESSION_TIMEOUT_MS": "6000"}, "SLUICE_FETCH_MAX_WAIT_MS"),
]

ACCEPTED: list[dict[str, str]] = [
    {"SLUICE_DATABASE_URL": "postgresql://postgres:@/postgres?host=/var/run/pg"},
    {"SLUICE_DATABASE_URL": "postgres://u:p%23%3F@[::1]:5432/d?sslmode=require&target_session_attrs=primary"},
    {"SLUICE_DATABASE_URL": "postgresql://u:p@one:5432,two:5433/d"},
    {"SLUICE_KAFKA_BOOTSTRAP": "one:9092, two:9092,[::1]:9093"},
    {"SLUICE_HASH_KEY": KEY},
    {**LOGIN, **BY_TOKEN, **COMMAND},
    {"SLUICE_CONSOLE_PROXY_HEADER": "X-User", "SLUICE_CONSOLE_PROXY_ADDRESSES": "10.0.0.5, 10.1.0.0/16,::1"},
]


@pytest.fixture(autouse=True)
def elsewhere(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    return tmp_path


@pytest.mark.parametrize(("given", "told"), REFUSED, ids=[told for _, told in REFUSED])
def test_what_is_wrong_is_told_without_the_value(
    given: dict[str, str], told: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name, value in given.items():
        monkeypatch.setenv(name, value)

    with pytest.raises(SettingsError) as refusal:
        load_settings()

    assert told in str(refusal.value)
    assert SECRET not in str(refusal.value)
    assert "\n" not in str(refusal.value)
    assert refusal.value.exit_code is ExitCode.SETUP


@pytest.mark.parametrize("given", ACCEPTED, ids=[next(iter(given.values())) for given in ACCEPTED])
def test_what_is_right_is_taken(given: dict[str, str], monkeypatch: pytest.MonkeyPatch) -> None:
    for name, value in given.items():
        monkeypatch.setenv(name, value)

    load_settings()


def test_env_of_the_working_folder_is_read_and_the_environment_wins(
    elsewhere: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (elsewhere / ".env").write_text("SLUICE_TOPIC_PREFIX=file.\nSLUICE_POLL_RECORDS=7\nOTHER=1\n", encoding="utf-8")
    monkeypatch.setenv("SLUICE_TOPIC_PREFIX", "environment.")

    settings = load_settings()

    assert (settings.topic_prefix, settings.poll_records) == ("environment.", 7)


def test_an_unknown_variable_in_env_is_refused(elsewhere: Path) -> None:
    (elsewhere / ".env").write_text("SLUICE_TOPIC_PERFIX=x\n", encoding="utf-8")

    with pytest.raises(SettingsError, match="SLUICE_TOPIC_PERFIX"):
        load_settings()


def test_secrets_are_not_shown() -> None:
    settings = load_settings(database_url=f"postgresql://u:{SECRET}@h/d", hash_key=KEY)

    assert SECRET not in repr(settings)
    assert KEY not in repr(settings)


def test_the_connections_that_all_workers_need_are_told() -> None:
    told = Settings.model_fields["database_connections"].description
    assert told is not None
    assert told.endswith(f"`all` needs at least {plan_of(['all']).connections}")
