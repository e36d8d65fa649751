"""Settings: environment variables `SLUICE_…`, or the same lines in `.env` of the working folder; checked at start.

An error is one line that names the variable and never its value, because a value may be a secret.
"""

import os
from collections.abc import Sequence
from difflib import get_close_matches
from ipaddress import IPv4Network, IPv6Network, ip_network
from pathlib import Path
from typing import Annotated, Any, Final, Literal, Self
from urllib.parse import parse_qs, urlsplit

from pydantic import Field, SecretStr, ValidationError, model_validator
from pydantic_settings import BaseSettings, SettingsConfigDict
from pydantic_settings.sources import DotEnvSettingsSource

from workers.app.settings_checks import (
    Addresses,
    Brokers,
    CommandWords,
    DatabaseUrl,
    HashKey,
    HeaderName,
    SigningSecret,
)
from workers.app.settings_wording import line
from workers.errors import SettingsError
from workers.kafka.connection import Kafka, PollLimits, UnusableFile, security
from workers.rules.address_hashes import HashKeys

PREFIX: Final = "SLUICE_"

_Name = Annotated[str, Field(pattern=r"^[A-Za-z0-9._-]*$", max_length=64)]
_MEBIBYTE: Final = 1024 * 1024
_FILES_OF_URL: Final = ("sslrootcert", "sslcert", "sslkey", "sslcrl")


class Settings(BaseSettings):
    """All settings of a worker process. Sizes are in bytes, times in the unit the name ends with."""

    model_config = SettingsConfigDict(
        env_prefix=PREFIX,
        env_file=".env",
        env_file_encoding="utf-8",
        extra="ignore",
        frozen=True,
        hide_input_in_errors=True,
    )

    database_url: DatabaseUrl | None = Field(
        default=None, description="libpq URL of the database: postgresql://user:password@host:5432/name"
    )
    kafka_bootstrap: Brokers | None = Field(
        default=None, min_length=1, description="Kafka brokers, host:port, separated by commas"
    )
    topic_prefix: _Name = Field(default="", description="prefix of every topic name")
    group_prefix: _Name = Field(default="sluice", min_length=1, description="prefix of every consumer group name")
    hash_key: HashKey | None = Field(
        default=None, description="key of the hashes that stay after deletion: 32 bytes, 64 hexadecimal digits"
    )
    hash_key_old: HashKey | None = Field(
        default=None, description="the key before, while it is replaced: hashes by it are found and renewed"
    )

    session_timeout_ms: int = Field(
        default=30_000,
        ge=6_000,
        le=45_000,
        description="Kafka removes a worker from its group after this time without a heartbeat",
    )
    poll_records: int = Field(
        default=2_000, ge=1, le=20_000, description="maximum number of records of one poll and transaction"
    )
    poll_bytes: int = Field(
        default=2 * _MEBIBYTE,
        ge=_MEBIBYTE,
        le=64 * _MEBIBYTE,
        description="maximum number of bytes of one poll and transaction",
    )
    fetch_min_bytes: int = Field(
        default=1, ge=1, le=_MEBIBYTE, description="Kafka answers a fetch once it has this many bytes"
    )
    fetch_max_wait_ms: int = Field(default=250, ge=1, le=5_000, description="… or after this time")
    database_connections: int = Field(
        default=10, ge=2, le=100, description="maximum number of connections of one process; `all` needs at least 8"
    )
    unreachable_after_s: float = Field(
        default=60.0, gt=0, le=600, description="a process ends when a server has not answered for this time"
    )

    kafka_security_protocol: Literal["PLAINTEXT", "SSL", "SASL_PLAINTEXT", "SASL_SSL"] = Field(
        default="PLAINTEXT", description="protocol for connections to Kafka"
    )
    kafka_ca_file: Path | None = Field(
        default=None,
        description="certificates of the authorities that sign the certificate of Kafka; default: the system's",
    )
    kafka_certificate_file: Path | None = Field(default=None, description="client certificate, if Kafka asks for one")
    kafka_key_file: Path | None = Field(default=None, description="private key of the client certificate")
    kafka_sasl_mechanism: Literal["PLAIN", "SCRAM-SHA-256", "SCRAM-SHA-512", "OAUTHBEARER"] | None = Field(
        default=None, description="SASL mechanism of the login to Kafka"
    )
    kafka_username: str | None = Field(default=None, description="user name of the login to Kafka")
    kafka_password: SecretStr | None = Field(default=None, description="password of the login to Kafka")
    kafka_token_command: CommandWords | None = Field(
        default=None, description="command that prints the token of a login by OAUTHBEARER; run without a shell"
    )

    log_format: Literal["auto", "console", "json"] = Field(
        default="auto", description="auto: for people on a terminal, JSON lines otherwise"
    )
    log_level: Literal["debug", "info", "warning", "error"] = Field(
        default="info", description="lowest level that is logged"
    )
    webhook_secret: SigningSecret | None = Field(
        default=None, description="signs what `sluice engine webhook` posts: whsec_ and 24 to 64 bytes in base64"
    )
    dbos_database_url: DatabaseUrl | None = Field(
        default=None, description="libpq URL of DBOS's system database, where `sluice engine dbos` cancels workflows"
    )

    channels_file: Path | None = Field(
        default=None, description="TOML file of the channels that receivers and senders serve"
    )
    accounts_file: Path | None = Field(default=None, description="TOML file of billing accounts and their workspaces")
    console_proxy_header: HeaderName | None = Field(
        default=None, description="header in which a trusted proxy names the user of the console"
    )
    console_proxy_addresses: Addresses | None = Field(
        default=None, description="IP addresses or networks of that proxy, separated by commas"
    )
    metrics_port: int | None = Field(
        default=None, ge=1, le=65_535, description="serves Prometheus metrics on this port; default: not at all"
    )
    metrics_host: str = Field(default="127.0.0.1", description="address of the metrics server")

    @model_validator(mode="after")
    def _login_is_whole(self) -> Self:
        sasl = self.kafka_security_protocol.startswith("SASL")
        by_token = self.kafka_sasl_mechanism == "OAUTHBEARER"
        complete = self.kafka_sasl_mechanism and self.kafka_username and self.kafka_password
        if sasl and not by_token and not complete:
            raise ValueError(
                "SLUICE_KAFKA_SECURITY_PROTOCOL asks for a login: SLUICE_KAFKA_SASL_MECHANISM, "
                "SLUICE_KAFKA_USERNAME and SLUICE_KAFKA_PASSWORD must be set"
            )
        if not sasl and (self.kafka_username or self.kafka_password):
            raise ValueError("SLUICE_KAFKA_PASSWORD is set, but SLUICE_KAFKA_SECURITY_PROTOCOL does not log in")
        if sasl and by_token and self.kafka_token_command is None:
            raise ValueError("SLUICE_KAFKA_SASL_MECHANISM OAUTHBEARER needs SLUICE_KAFKA_TOKEN_COMMAND")
        if by_token and (self.kafka_username or self.kafka_password):
            raise ValueError("SLUICE_KAFKA_PASSWORD is set, but OAUTHBEARER logs in with a token")
        if self.kafka_token_command is not None and not (sasl and by_token):
            raise ValueError(
                "SLUICE_KAFKA_TOKEN_COMMAND is set, but SLUICE_KAFKA_SECURITY_PROTOCOL and "
                "SLUICE_KAFKA_SASL_MECHANISM do not log in by OAUTHBEARER"
            )
        if self.kafka_security_protocol == "SASL_PLAINTEXT" and self.kafka_sasl_mechanism in ("PLAIN", "OAUTHBEARER"):
            raise ValueError(
                f"SLUICE_KAFKA_SASL_MECHANISM {self.kafka_sasl_mechanism} would send the password or token in clear: "
                "use SASL_SSL or SCRAM"
            )
        return self

    @model_validator(mode="after")
    def _safe_together(self) -> Self:
        if (self.kafka_certificate_file is None) != (self.kafka_key_file is None):
            raise ValueError("SLUICE_KAFKA_CERTIFICATE_FILE and SLUICE_KAFKA_KEY_FILE must be set together")
        files = self.kafka_ca_file or self.kafka_certificate_file
        if files is not None and not self.kafka_security_protocol.endswith("SSL"):
            raise ValueError(
                "SLUICE_KAFKA_CA_FILE or SLUICE_KAFKA_CERTIFICATE_FILE is set, but SLUICE_KAFKA_SECURITY_PROTOCOL does "
                "not speak TLS: use SSL or SASL_SSL"
            )
        if self.hash_key_old is not None and self.hash_key is None:
            raise ValueError("SLUICE_HASH_KEY_OLD is set without SLUICE_HASH_KEY: nothing would be renewed")
        if self.console_proxy_header is not None and self.console_proxy_addresses is None:
            raise ValueError("SLUICE_CONSOLE_PROXY_HEADER is set without SLUICE_CONSOLE_PROXY_ADDRESSES")
        if self.fetch_max_wait_ms * 4 > self.session_timeout_ms:
            raise ValueError("SLUICE_FETCH_MAX_WAIT_MS must be at most a quarter of SLUICE_SESSION_TIMEOUT_MS")
        return self

    def required_database_url(self) -> str:
        """The database's libpq URL.

        Raises:
            SettingsError: it is not set, or names a file that cannot be read.
        """
        if self.database_url is None:
            raise SettingsError(f"{PREFIX}DATABASE_URL is not set (postgresql://user:password@host:5432/name)")
        url = self.database_url.get_secret_value()
        for name, values in parse_qs(urlsplit(url).query).items():
            if name in _FILES_OF_URL and not os.access(values[-1], os.R_OK):
                raise SettingsError(f"{PREFIX}DATABASE_URL: the file of `{name}` cannot be read")
        return url

    def database_place(self) -> str:
        """Where the database is: hosts, ports and name, without user name or password; empty if it is not set."""
        if self.database_url is None:
            return ""
        url = urlsplit(self.database_url.get_secret_value())
        socket = parse_qs(url.query).get("host", [""])[-1]
        return f"{url.netloc.rpartition('@')[2] or socket}{url.path}"

    def kafka(self) -> Kafka:
        """How to reach Kafka.

        Raises:
            SettingsError: the brokers are not set, or a certificate cannot be read.
        """
        if self.kafka_bootstrap is None:
            raise SettingsError(f"{PREFIX}KAFKA_BOOTSTRAP is not set (host:port, separated by commas)")
        try:
            arguments = security(
                self.kafka_security_protocol,
                ca_file=_text(self.kafka_ca_file),
                certificate_file=_text(self.kafka_certificate_file),
                key_file=_text(self.kafka_key_file),
                mechanism=self.kafka_sasl_mechanism,
                username=self.kafka_username,
                password=self.kafka_password.get_secret_value() if self.kafka_password else None,
                token_command=self.kafka_token_command.get_secret_value() if self.kafka_token_command else None,
            )
        except UnusableFile as error:
            raise SettingsError(f"{PREFIX}KAFKA_{error.argument.upper()} {error}") from error
        return Kafka(self.kafka_bootstrap, self.topic_prefix, self.session_timeout_ms, arguments)

    def hash_keys(self) -> HashKeys:
        """The keys for addresses of deleted contacts."""
        return HashKeys(*map(_key, (self.hash_key, self.hash_key_old)))

    def proxy_networks(self) -> Sequence[IPv4Network | IPv6Network]:
        """Where the trusted proxy before the console asks from."""
        return [ip_network(one.strip()) for one in (self.console_proxy_addresses or "").split(",") if one]

    def limits(self) -> PollLimits:
        """The bounds of one poll."""
        return PollLimits(
            records=self.poll_records,
            bytes=self.poll_bytes,
            fetch_min_bytes=self.fetch_min_bytes,
            fetch_max_wait_ms=self.fetch_max_wait_ms,
        )


def _key(given: SecretStr | None) -> bytes | None:
    return None if given is None else bytes.fromhex(given.get_secret_value())


def _text(path: Path | None) -> str | None:
    return None if path is None else str(path)


def load_settings(**overrides: Any) -> Settings:
    """Settings of this process. `overrides` (field names) win; `sluice dev` uses them for the servers that it starts.

    Raises:
        SettingsError: a variable is unknown, missing, malformed, or unsafe in combination.
    """
    _refuse_unknown()
    try:
        return Settings(**overrides)
    except ValidationError as error:
        raise SettingsError("; ".join(line(PREFIX, found) for found in error.errors(include_input=False))) from None


def _refuse_unknown() -> None:
    known = {f"{PREFIX}{name}".upper() for name in Settings.model_fields}
    given = {name.upper() for name in (*os.environ, *DotEnvSettingsSource(Settings)._read_env_files())}  # noqa: SLF001
    for name in sorted(given):
        if name.startswith(PREFIX) and name not in known:
            nearest = get_close_matches(name.removeprefix(PREFIX), [other.removeprefix(PREFIX) for other in known], 1)
            advice = f"is {PREFIX}{nearest[0]} meant?" if nearest else "see docs/settings.md"
            raise SettingsError(f"{name} is no setting of Sluice: {advice}")


def described() -> list[tuple[str, str, str]]:
    """Every variable with its default and meaning, for the documentation."""
    return [
        (f"{PREFIX}{name}".upper(), _default(field), field.description or "")
        for name, field in Settings.model_fields.items()
    ]


def _default(field: Any) -> str:
    if field.is_required():
        return "(required)"
    return "(none)" if field.default is None or field.default == "" else str(field.default)
