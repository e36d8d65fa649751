"""Checks of single settings. None of the errors has the value, because a value may be a secret."""

import re
import shlex
import shutil
from ipaddress import ip_network
from typing import Annotated, Final

from pydantic import AfterValidator, SecretStr

from workers.engines.signing import secret_of

# Checked here, because a driver's error about a malformed URL may quote the password.
_HOST: Final = r"(?:\[[0-9A-Fa-f:.]+\]|[^\s:/@?#,\[\]]+)(?::\d{1,5})?"
_URL: Final = re.compile(
    rf"postgres(?:ql)?://(?:[^\s:/@?#]*(?::[^\s/@?#]*)?@)?(?:{_HOST}(?:,{_HOST})*)?(?:/[^\s/?#]*)?(?:\?(?:[\w.]+=[^\s&#]*&?)*)?"
)
_BROKER: Final = re.compile(_HOST)
_HEADER: Final = re.compile(r"[A-Za-z][A-Za-z0-9-]{0,63}")
# Browsers and programs send them by themselves: they name no user.
_OTHER_HEADERS: Final = {"authorization", "cookie", "host", "origin", "referer", "user-agent"}


def _hash_key(value: SecretStr) -> SecretStr:
    try:
        key = bytes.fromhex(value.get_secret_value())
    except ValueError:
        key = b""
    if len(key) != 32:
        raise ValueError("must be 64 hexadecimal digits (make one: openssl rand -hex 32)")
    if len(set(key)) == 1:
        raise ValueError("is no random key (make one: openssl rand -hex 32)")
    return value


def _signing_secret(value: SecretStr) -> SecretStr:
    try:
        secret_of(value.get_secret_value())
    except ValueError:
        raise ValueError(
            'must be whsec_ and 24 to 64 bytes in base64 (make one: echo "whsec_$(openssl rand -base64 32)")'
        ) from None
    return value


def _database_url(value: SecretStr) -> SecretStr:
    if not _URL.fullmatch(value.get_secret_value()):
        raise ValueError(
            "must be a libpq URL, postgresql://user:password@host:5432/name, with special characters of the "
            "password percent-encoded"
        )
    return value


def _brokers(value: str) -> str:
    if not all(_BROKER.fullmatch(broker.strip()) for broker in value.split(",")):
        raise ValueError("must be host:port, separated by commas")
    return value


def _header(value: str) -> str:
    if not _HEADER.fullmatch(value) or value.lower() in _OTHER_HEADERS:
        raise ValueError("must be the name of a header that only the proxy sets, such as X-Forwarded-User")
    return value


def _addresses(value: str) -> str:
    try:
        for one in value.split(","):
            ip_network(one.strip())
    except ValueError:
        raise ValueError(
            "must be IP addresses or networks, separated by commas, such as 10.0.0.5,10.1.0.0/16"
        ) from None
    return value


def _command(value: SecretStr) -> SecretStr:
    try:
        words = shlex.split(value.get_secret_value())
    except ValueError:
        raise ValueError("must be a program and its arguments, quoted as in a shell") from None
    if not words or shutil.which(words[0]) is None:
        raise ValueError("must begin with a program that can be run")
    return value


HashKey = Annotated[SecretStr, AfterValidator(_hash_key)]
SigningSecret = Annotated[SecretStr, AfterValidator(_signing_secret)]
DatabaseUrl = Annotated[SecretStr, AfterValidator(_database_url)]
CommandWords = Annotated[SecretStr, AfterValidator(_command)]
Brokers = Annotated[str, AfterValidator(_brokers)]
HeaderName = Annotated[str, AfterValidator(_header)]
Addresses = Annotated[str, AfterValidator(_addresses)]
