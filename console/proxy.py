"""The proxy before the console: what it says about a request counts, and only what it says."""

from collections.abc import Sequence
from ipaddress import IPv4Network, IPv6Address, IPv6Network, ip_address
from typing import Final

from starlette.requests import Request

Network = IPv4Network | IPv6Network
_FORWARDED_FOR: Final = "x-forwarded-for"
_FORWARDED_PROTO: Final = "x-forwarded-proto"


class TrustedProxy:
    """`header` has the name of the user, if the proxy says who it is. `addresses` are those that the proxy asks from:
    headers of others mean nothing.
    """

    def __init__(self, header: str | None = None, addresses: Sequence[Network] = ()) -> None:
        self._header = header
        self._addresses = addresses

    def user(self, request: Request) -> str | None:
        """The name of the user that the proxy says; None if it says none, or more than one."""
        if self._header is None or not self._is_trusted(_peer(request)):
            return None
        names = request.headers.getlist(self._header)
        try:
            return names[0].encode("latin-1").decode("utf-8") or None if len(names) == 1 else None
        except UnicodeDecodeError:
            return None

    def is_secure(self, request: Request) -> bool:
        """Whether the browser speaks TLS, to the console or to the proxy."""
        forwarded = request.headers.getlist(_FORWARDED_PROTO)
        return request.url.scheme == "https" or (forwarded == ["https"] and self._is_trusted(_peer(request)))

    def address(self, request: Request) -> str:
        """Where the request comes from. Of IPv6 the first half: one person has all of the other half."""
        hops = [hop.strip() for line in request.headers.getlist(_FORWARDED_FOR) for hop in line.split(",")]
        address = _peer(request)
        while hops and self._is_trusted(address):
            address = hops.pop()
        try:
            found = ip_address(address)
        except ValueError:
            return _peer(request)
        if isinstance(found, IPv6Address):
            return str(found.ipv4_mapped or IPv6Network((found, 64), strict=False))
        return str(found)

    def _is_trusted(self, address: str) -> bool:
        try:
            found = ip_address(address)
        except ValueError:
            return False
        if isinstance(found, IPv6Address) and found.ipv4_mapped is not None:
            found = found.ipv4_mapped
        return any(found in network for network in self._addresses)


def _peer(request: Request) -> str:
    return request.client.host if request.client else ""
