"""The embedded PostgreSQL behind TLS: it is built without, so a front speaks TLS and passes everything on."""

import asyncio
import ssl
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from pathlib import Path
from typing import Final, NamedTuple

import trustme

_ASKS_FOR_TLS: Final = bytes([0, 0, 0, 8, 4, 210, 22, 47])  # SSLRequest of the protocol
_PORTION: Final = 65_536


class Authority(NamedTuple):
    """An authority of this test. `file`: its certificate, as `sslrootcert` names it."""

    ca: trustme.CA
    file: Path

    def serving(self, host: str) -> ssl.SSLContext:
        """A server's side of TLS, with a certificate for that host name or address."""
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        self.ca.issue_cert(host).configure_cert(context)
        return context


def authority(folder: Path, name: str) -> Authority:
    made = Authority(trustme.CA(organization_name=name), folder / f"{name}.pem")
    made.ca.cert_pem.write_to_path(str(made.file))
    return made


@asynccontextmanager
async def behind_tls(unix_socket: str, context: ssl.SSLContext) -> AsyncIterator[int]:
    """The port at which the server speaks TLS, as PostgreSQL does: after an SSLRequest."""

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with suppress(OSError, asyncio.IncompleteReadError):
            assert await reader.readexactly(8) == _ASKS_FOR_TLS
            writer.write(b"S")
            await writer.start_tls(context)
            inner_reader, inner_writer = await asyncio.open_unix_connection(unix_socket)
            await asyncio.gather(_pass_on(reader, inner_writer), _pass_on(inner_reader, writer))
        writer.transport.abort()

    server = await asyncio.start_server(serve, "127.0.0.1", 0)
    async with server:
        yield server.sockets[0].getsockname()[1]


async def _pass_on(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    with suppress(OSError):
        while portion := await reader.read(_PORTION):
            writer.write(portion)
            await writer.drain()
    writer.close()
