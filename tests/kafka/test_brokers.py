"""One sentence says why Kafka cannot be reached: TLS, logins, certificates."""

import asyncio
import ssl
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any, Final

import pytest

from tests.support.brokers import Broker
from tests.support.kafka import KafkaServer, demand, real_kafka
from workers.errors import SetupError
from workers.kafka.brokers import Brokers, reached
from workers.kafka.connection import Kafka, security
from workers.kafka.failures import AWAY
from workers.process.liveness import LivenessProbe

TLS: Final = Path(__file__).resolve().parents[1] / "support" / "tls"
CERTIFICATE: Final = str(TLS / "certificate.pem")
KEY: Final = str(TLS / "key.pem")
SECRET: Final = "geheim"  # noqa: S105 - nobody's

# Where the doors of the broker lead.
DOORS: Final = ("SSL", "SASL_PLAINTEXT", "SASL_SSL", "MUTUAL", "PLAINTEXT")
_LOGIN: Final = (
    "org.apache.kafka.common.security.plain.PlainLoginModule required "
    f'username="broker" password="{SECRET}" user_sluice="{SECRET}";'
)
_SCRAM: Final = "org.apache.kafka.common.security.scram.ScramLoginModule required;"


def _properties() -> str:
    kinds = ["SSL" if kind == "MUTUAL" else kind for kind in DOORS] + ["PLAINTEXT"] * 6
    protocols = ",".join(f"DOOR{n}:{kind}" for n, kind in enumerate(kinds))
    logins = "\n".join(
        f"listener.name.door{n}.plain.sasl.jaas.config={_LOGIN}\n"
        f"listener.name.door{n}.scram-sha-512.sasl.jaas.config={_SCRAM}"
        for n, kind in enumerate(DOORS)
        if kind.startswith("SASL")
    )
    return f"""
listener.security.protocol.map=PLAINTEXT:PLAINTEXT,{protocols},CONTROLLER:PLAINTEXT
sasl.enabled.mechanisms=PLAIN,SCRAM-SHA-512
ssl.keystore.type=PEM
ssl.keystore.location={TLS / "both.pem"}
ssl.truststore.type=PEM
ssl.truststore.location={CERTIFICATE}
listener.name.door{DOORS.index("MUTUAL")}.ssl.client.auth=required
{logins}
"""


@pytest.fixture(scope="module")
def fortress() -> Iterator[KafkaServer]:
    """A broker that speaks every protocol, each at a door of its own."""
    demand()
    with real_kafka(_properties()) as server:
        yield server


async def said(bootstrap: str, protocol: str, **others: Any) -> str:
    """What a broker at that address comes to, for a client of that protocol; empty if it answers."""
    ours: dict[str, Any] = {"ca_file": CERTIFICATE} if protocol.endswith("SSL") else {}
    if protocol.startswith("SASL"):
        ours |= {"mechanism": "PLAIN", "username": "sluice", "password": SECRET}
    try:
        await reached(Kafka(bootstrap, security=security(protocol, **{**ours, **others})))
    except SetupError as error:
        return str(error)
    return ""


async def knock(port: int) -> None:
    _, writer = await asyncio.open_connection("127.0.0.1", port)
    writer.close()
    await writer.wait_closed()


@pytest.mark.kafka
async def test_every_misunderstanding_with_kafka_is_told_for_what_it_is(fortress: KafkaServer) -> None:
    for each in fortress.doors:
        await LivenessProbe("the door", (OSError,), 30.0).answer(partial(knock, each.port))
    door = {kind: f"127.0.0.1:{fortress.doors[n].port}" for n, kind in enumerate(DOORS)}
    no_tls = "does not speak TLS: SLUICE_KAFKA_SECURITY_PROTOCOL must not be {}, but PLAINTEXT or SASL_PLAINTEXT"
    tls = "speaks TLS: SLUICE_KAFKA_SECURITY_PROTOCOL must not be {}, but SSL or SASL_SSL"
    login = "asks for a login: SLUICE_KAFKA_SECURITY_PROTOCOL must not be {0}, but SASL_{0}"
    no_login = "asks for no login: SLUICE_KAFKA_SECURITY_PROTOCOL must not be SASL_{0}, but {0}"
    certificate = "it may ask for SLUICE_KAFKA_CERTIFICATE_FILE"
    expected = {
        ("PLAINTEXT", "PLAINTEXT"): "",
        ("PLAINTEXT", "SSL"): no_tls.format("SSL"),
        ("PLAINTEXT", "SASL_PLAINTEXT"): no_login.format("PLAINTEXT"),
        ("PLAINTEXT", "SASL_SSL"): no_tls.format("SASL_SSL"),
        ("SSL", "PLAINTEXT"): tls.format("PLAINTEXT"),
        ("SSL", "SSL"): "",
        ("SSL", "SASL_PLAINTEXT"): tls.format("SASL_PLAINTEXT"),
        ("SSL", "SASL_SSL"): no_login.format("SSL"),
        ("SASL_PLAINTEXT", "PLAINTEXT"): login.format("PLAINTEXT"),
        ("SASL_PLAINTEXT", "SSL"): no_tls.format("SSL"),
        ("SASL_PLAINTEXT", "SASL_PLAINTEXT"): "",
        ("SASL_PLAINTEXT", "SASL_SSL"): no_tls.format("SASL_SSL"),
        ("SASL_SSL", "PLAINTEXT"): tls.format("PLAINTEXT"),
        ("SASL_SSL", "SSL"): login.format("SSL"),
        ("SASL_SSL", "SASL_PLAINTEXT"): tls.format("SASL_PLAINTEXT"),
        ("SASL_SSL", "SASL_SSL"): "",
        ("MUTUAL", "SSL"): certificate,
    }
    found = {(kind, protocol): await said(door[kind], protocol) for kind, protocol in expected}
    assert {one: found[one] for one in found if not _fits(found[one], expected[one])} == {}
    assert await said(door["MUTUAL"], "SSL", certificate_file=CERTIFICATE, key_file=KEY) == ""
    wrong = await said(door["SASL_SSL"], "SASL_SSL", password=SECRET[::-1])
    assert "refuses the login: SLUICE_KAFKA_USERNAME or SLUICE_KAFKA_PASSWORD is wrong" in wrong
    unknown = await said(door["SASL_SSL"], "SASL_SSL", mechanism="SCRAM-SHA-256")
    assert "does not know the kind of login that SLUICE_KAFKA_SASL_MECHANISM asks for" in unknown
    is_new_contact = await said(door["SSL"], "SSL", ca_file=None)
    assert "shows a certificate that is not trusted (self-signed certificate)" in is_new_contact
    assert SECRET not in " ".join((*found.values(), wrong, unknown, is_new_contact))


def _fits(found: str, expected: str) -> bool:
    return expected in found and bool(found) == bool(expected)


async def test_tls_against_a_port_without_says_so(broker: Broker) -> None:
    assert "does not speak TLS" in await said(broker.bootstrap, "SSL")


@pytest.mark.parametrize("protocol", ["PLAINTEXT", "SASL_PLAINTEXT"])
async def test_plain_text_against_a_port_with_tls_says_so(protocol: str) -> None:
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    context.load_cert_chain(CERTIFICATE, KEY)

    async def hang_up(_reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.close()
        with suppress(OSError):
            await writer.wait_closed()

    async with await asyncio.start_server(hang_up, "127.0.0.1", 0, ssl=context) as server:
        port = server.sockets[0].getsockname()[1]
        assert "speaks TLS" in await said(f"127.0.0.1:{port}", protocol)


async def test_who_hangs_up_on_everybody_is_only_away() -> None:
    async def hang_up(_reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.close()
        with suppress(OSError):
            await writer.wait_closed()

    async with await asyncio.start_server(hang_up, "127.0.0.1", 0) as server:
        bootstrap = f"127.0.0.1:{server.sockets[0].getsockname()[1]}"
        for protocol in ("PLAINTEXT", "SSL", "SASL_PLAINTEXT", "SASL_SSL"):
            with pytest.raises(AWAY):
                await said(bootstrap, protocol)


async def test_one_broker_that_answers_is_enough_wherever_it_stands(broker: Broker) -> None:
    for bootstrap in (f"127.0.0.1:1,{broker.bootstrap}", f"{broker.bootstrap},127.0.0.1:1"):
        brokers = Brokers(Kafka(bootstrap))
        for _ in range(3):
            await brokers.ask()
        brokers.close()
        await brokers.ask()
        brokers.close()


async def test_the_next_broker_is_asked_where_one_does_not_answer(broker: Broker) -> None:
    cluster = broker.cluster()

    await reached(replace(cluster, bootstrap=f"127.0.0.1:1,{cluster.bootstrap}"))
