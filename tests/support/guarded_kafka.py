"""Real Apache Kafka that trusts nobody: TLS, logins by SCRAM and by OAUTHBEARER, and only what ACLs allow.

Its plain listener is for tests alone, which may do everything there: they make topics, users and ACLs, and read what
came out.
"""

import shlex
import shutil
import subprocess
import sys
import tempfile
import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

from confluent_kafka import admin as untyped

from tests.support.brokers import Broker
from tests.support.kafka import KafkaServer, real_kafka

PASSWORD: Final = "correct-horse"  # noqa: S105 - nobody's
_ADMIN: Final[Any] = untyped  # its names are not exported as types want it
_STORE: Final = "changeit"
_ITERATIONS: Final = 4096
_ANSWER_S: Final = 20.0
_SCRAM: Final = "SCRAM"
_TOKEN: Final = "TOKEN"  # noqa: S105 - the name of a listener
_MODULES: Final = "org.apache.kafka.common.security"
_PROPERTIES: Final = """
authorizer.class.name=org.apache.kafka.metadata.authorizer.StandardAuthorizer
super.users=User:ANONYMOUS
ssl.keystore.type=PKCS12
ssl.keystore.location={store}
ssl.keystore.password={password}
listener.name.scram.sasl.enabled.mechanisms=SCRAM-SHA-512
listener.name.scram.scram-sha-512.sasl.jaas.config={modules}.scram.ScramLoginModule required;
listener.name.token.sasl.enabled.mechanisms=OAUTHBEARER
listener.name.token.oauthbearer.sasl.jaas.config={modules}.oauthbearer.OAuthBearerLoginModule required \
unsecuredLoginStringClaim_sub="broker";
"""

_TOKENS: Final = """
import json, sys, time
from base64 import urlsafe_b64encode

user, life_s, calls = sys.argv[1:]
with open(calls, "a") as file:
    file.write("x")
now = time.time()
parts = {"alg": "none"}, {"sub": user, "iat": now, "exp": now + float(life_s)}
print(".".join(urlsafe_b64encode(json.dumps(part).encode()).rstrip(b"=").decode() for part in parts) + ".")
"""
"""Unsecured tokens, which Kafka takes unless it is told otherwise: only for tests."""


@dataclass(frozen=True)
class Guarded:
    """The broker, its authority's certificate in a file, and names of the test's own. `broker` is the plain
    listener.
    """

    server: KafkaServer
    authority: Path
    broker: Broker
    users: set[str] = field(default_factory=set)

    def by_scram(self, user: str) -> dict[str, Any]:
        """Settings of a process that logs in with a password; the user is made if there is none of that name."""
        if user not in self.users:
            self._make(user)
        return self._settings(_SCRAM) | {
            "kafka_sasl_mechanism": "SCRAM-SHA-512",
            "kafka_username": user,
            "kafka_password": PASSWORD,
        }

    def by_token(self, user: str, folder: Path, life_s: float = 3_600.0) -> dict[str, Any]:
        """Settings of a process that logs in with tokens that end after this time. Each call of the command adds a
        letter to the file `calls` of the folder.
        """
        script = folder / "token.py"
        script.write_text(_TOKENS, encoding="utf-8")
        words = [sys.executable, str(script), user, str(life_s), str(folder / "calls")]
        return self._settings(_TOKEN) | {
            "kafka_sasl_mechanism": "OAUTHBEARER",
            "kafka_token_command": shlex.join(words),
        }

    def take_away(self, user: str, topic: str) -> None:
        """Takes every right on a topic away from a user."""
        admin = _ADMIN.AdminClient({"bootstrap.servers": self.server.bootstrap})
        every = (_ADMIN.AclOperation.ANY, _ADMIN.AclPermissionType.ANY)
        acls = _ADMIN.AclBindingFilter(
            _ADMIN.ResourceType.TOPIC, topic, _ADMIN.ResourcePatternType.LITERAL, f"User:{user}", None, *every
        )
        for done in admin.delete_acls([acls]).values():
            assert done.result(_ANSWER_S)

    def _settings(self, listener: str) -> dict[str, Any]:
        return {
            "kafka_bootstrap": self.server.logins[listener],
            "kafka_security_protocol": "SASL_SSL",
            "kafka_ca_file": str(self.authority),
            "topic_prefix": self.broker.topic_prefix,
            "group_prefix": self.broker.group_prefix,
        }

    def _make(self, user: str) -> None:
        admin = _ADMIN.AdminClient({"bootstrap.servers": self.server.bootstrap})
        credential = _ADMIN.ScramCredentialInfo(_ADMIN.ScramMechanism.SCRAM_SHA_512, _ITERATIONS)
        wanted = _ADMIN.UserScramCredentialUpsertion(user, credential, PASSWORD.encode())
        for done in admin.alter_user_scram_credentials([wanted]).values():
            done.result(_ANSWER_S)
        self.users.add(user)


@contextmanager
def guarded_kafka(extra: str = "") -> Iterator[Guarded]:
    """A started broker, and prefixes for one module's topics and groups; `extra` are lines of its properties."""
    with tempfile.TemporaryDirectory(prefix="sluice-guarded-") as folder:
        store, authority = _certificate(Path(folder))
        properties = _PROPERTIES.format(store=store, password=_STORE, modules=_MODULES)
        with real_kafka(f"{properties}\n{extra}", (_SCRAM, _TOKEN)) as server:
            name = uuid.uuid4().hex[:8]
            yield Guarded(server, authority, Broker("kafka", server.bootstrap, f"t{name}.", f"g{name}"))


def _certificate(folder: Path) -> tuple[Path, Path]:
    """The broker's key with a certificate that it signed itself, and that certificate in PEM form."""
    store, authority = folder / "broker.p12", folder / "authority.pem"
    common = ["-alias", "broker", "-keystore", str(store), "-storetype", "PKCS12", "-storepass", _STORE]
    made = ["-genkeypair", "-keyalg", "EC", "-dname", "CN=broker", "-ext", "SAN=ip:127.0.0.1", "-ext", "BC=ca:true"]
    _keytool(*made, *common)
    _keytool("-exportcert", "-rfc", "-file", str(authority), *common)
    return store, authority


def _keytool(*arguments: str) -> None:
    command = [shutil.which("keytool") or "keytool", *arguments]
    subprocess.run(command, check=True, capture_output=True)  # noqa: S603 - our own words
