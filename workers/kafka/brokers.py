"""A separate connection to the cluster: finds out whether any broker answers, and if not, why.

aiokafka's clients only say that they could not connect. An operator must know why: a broker that speaks TLS and a
client that does not, or the other way round, look like a server that is away.
"""

import asyncio
import ssl
from collections import deque
from contextlib import suppress
from typing import Any, Final

from aiokafka import errors as kafka
from aiokafka.conn import AIOKafkaConnection, OAuthAuthenticator, collect_hosts, create_conn
from aiokafka.protocol.admin import SaslHandShakeRequest
from aiokafka.protocol.metadata import MetadataRequest

from workers.errors import SetupError
from workers.kafka.connection import Kafka
from workers.kafka.failures import AWAY
from workers.kafka.token_command import NoToken

_ANSWER_S: Final = 5.0
_PROBE_S: Final = 2.0
_PROTOCOL: Final = "SLUICE_KAFKA_SECURITY_PROTOCOL"
_PASSWORD_REFUSED: Final = "refuses the login: SLUICE_KAFKA_USERNAME or SLUICE_KAFKA_PASSWORD is wrong"  # noqa: S105
_TOKEN_REFUSED: Final = "refuses the token that SLUICE_KAFKA_TOKEN_COMMAND printed: has it ended?"  # noqa: S105


async def reached(cluster: Kafka) -> None:
    """Returns if a broker answers. Raises as `Brokers.ask`."""
    brokers = Brokers(cluster)
    try:
        await brokers.ask()
    finally:
        brokers.close()


class Brokers:
    """Asks one broker after the other: the configured ones first, then those that the cluster named."""

    def __init__(self, cluster: Kafka) -> None:
        arguments = cluster.clients("liveness")
        addresses = [(host, port) for host, port, _ in collect_hosts(arguments.pop("bootstrap_servers"))]
        self._arguments: dict[str, Any] = {
            "security_protocol": "PLAINTEXT",
            "max_idle_ms": arguments.pop("connections_max_idle_ms"),
            **arguments,
            "request_timeout_ms": int(_ANSWER_S * 1000),
        }
        self._configured = tuple(addresses)
        self._addresses = deque(addresses)
        self._connection: AIOKafkaConnection | None = None

    async def ask(self) -> None:
        """Returns once a broker has answered.

        Raises:
            SetupError: a broker refuses us, or uses another protocol.
            AWAY: no broker answers.
        """
        if self._connection is not None:
            with suppress(*AWAY):
                return await self._metadata(self._connection)
        failure: Exception = kafka.KafkaConnectionError("no broker answers")
        for _ in range(len(self._addresses)):
            address = self._addresses[0]
            self._addresses.rotate(-1)  # if this was cut short, the next question starts with the next broker
            try:
                return await self._connect(*address)
            except AWAY as error:
                if refusal := await self._refusal(error, *address):
                    raise refusal from error
                failure = error
        raise failure

    def close(self) -> None:
        """Closes the connection."""
        connection, self._connection = self._connection, None
        if connection is not None:
            connection.close()

    async def _connect(self, host: str, port: int) -> None:
        async with asyncio.timeout(_ANSWER_S):
            connection: Any = _Connection(host, port, **self._arguments)  # type: ignore[no-untyped-call]
            await connection.connect()
            self._connection = connection
            await self._metadata(connection)

    async def _metadata(self, connection: AIOKafkaConnection) -> None:
        try:
            answer = await connection.send(MetadataRequest([]))
        except BaseException:
            self.close()  # a late answer must not count for the next question
            raise
        named = [(host, port) for _, host, port, *_ in answer.brokers]
        self._addresses = deque(dict.fromkeys((*self._configured, *named)))

    async def _refusal(self, error: Exception, host: str, port: int) -> SetupError | None:
        """What is wrong with our settings, if that is certain."""
        where, protocol = f"Kafka at {host}:{port}", self._arguments["security_protocol"]
        cause = error.__cause__ if isinstance(error, kafka.KafkaConnectionError) and error.__cause__ else error
        if isinstance(cause, ConnectionRefusedError | TimeoutError | NoToken):
            return None
        reason = _message_of(
            cause, protocol, str(self._arguments.get("sasl_mechanism"))
        ) or await self._misunderstanding(protocol, host, port)
        return SetupError(f"{where} {reason}") if reason else None

    async def _misunderstanding(self, protocol: str, host: str, port: int) -> str | None:
        """Tries the other protocols. A broker that expects another protocol closes the connection without a message."""
        if protocol.endswith("SSL"):
            if await self._understands(host, port, "PLAINTEXT"):
                return f"does not speak TLS: {_PROTOCOL} must not be {protocol}, but PLAINTEXT or SASL_PLAINTEXT"
        elif await _speaks_tls(host, port):
            return f"speaks TLS: {_PROTOCOL} must not be {protocol}, but SSL or SASL_SSL"
        if not protocol.startswith("SASL") and await self._understands(host, port, protocol, login=True):
            return f"asks for a login: {_PROTOCOL} must not be {protocol}, but SASL_{protocol}"
        return None

    async def _understands(self, host: str, port: int, protocol: str, *, login: bool = False) -> bool:
        """Whether the broker speaks that protocol, and supports logins if that is asked."""
        connection: AIOKafkaConnection | None = None
        try:
            async with asyncio.timeout(_PROBE_S):
                connection = await create_conn(host, port, **{**self._arguments, "security_protocol": protocol})
                if login:
                    answer = await connection.send(SaslHandShakeRequest("PLAIN"))
                    return bool(answer.error_code != kafka.IllegalSaslStateError.errno)
        except AWAY:
            return False
        else:
            return True
        finally:
            if connection is not None:
                connection.close()


class _Connection(AIOKafkaConnection):
    """A connection that hears why its token is refused. aiokafka's takes the refusal, which comes as a challenge, for a
    login, and the broker then closes the connection at the next request without a word.
    """

    def authenticator_oauth(self) -> OAuthAuthenticator:
        return _Asking(  # type: ignore[no-untyped-call]
            sasl_oauth_token_provider=self._sasl_oauth_token_provider
        )


class _Asking(OAuthAuthenticator):
    async def step(self, payload: bytes | None) -> tuple[bytes, bool] | None:
        if self._token_sent and payload:
            return b"\x01", True  # as RFC 7628 wants it: the broker then says that the login failed
        step: tuple[bytes, bool] | None = await super().step(payload)  # type: ignore[no-untyped-call]
        return step


def _message_of(cause: BaseException, protocol: str, mechanism: str) -> str | None:
    """The broker's own error message."""
    match cause:
        case kafka.SaslAuthenticationFailed():
            token = mechanism == "OAUTHBEARER"
            return _TOKEN_REFUSED if token else _PASSWORD_REFUSED
        case kafka.UnsupportedSaslMechanismError():
            return "does not know the kind of login that SLUICE_KAFKA_SASL_MECHANISM asks for"
        case kafka.IllegalSaslStateError():
            return f"asks for no login: {_PROTOCOL} must not be {protocol}, but {protocol.removeprefix('SASL_')}"
        case ssl.SSLCertVerificationError():
            return (
                f"shows a certificate that is not trusted ({cause.verify_message}): it is checked against "
                "SLUICE_KAFKA_CA_FILE, or the system's certificates where that is not set"
            )
        case ssl.SSLError() if "ALERT" in (cause.reason or ""):
            return (
                f"refuses the connection ({cause.reason}): it may ask for SLUICE_KAFKA_CERTIFICATE_FILE, or not "
                "trust that certificate"
            )
    return None


async def _speaks_tls(host: str, port: int) -> bool:
    anybody = ssl.create_default_context()
    anybody.check_hostname, anybody.verify_mode = False, ssl.CERT_NONE
    try:
        async with asyncio.timeout(_PROBE_S):
            _, writer = await asyncio.open_connection(host, port, ssl=anybody)
    except (OSError, EOFError, TimeoutError):
        return False
    writer.transport.abort()
    return True
