"""A provider to send to: the simulator without its reports. `python -m benchmarks.connectors.provider`."""

import asyncio
from pathlib import Path

from benchmarks.connectors.channels import FILE
from connectors.channels import channels_of
from connectors.simulator.deliveries import Deliveries
from connectors.simulator.playing import Simulator
from connectors.simulator.server import SimulatorServer
from workers.process.http_server import listening, serve_http


async def serve() -> None:
    """Serves until the process is ended; says its port first."""
    simulator = Simulator(channels_of(Path(FILE)), Deliveries("http://127.0.0.1:9"), reports=False)
    sock = listening("127.0.0.1", 0)
    print(sock.getsockname()[1], flush=True)
    await serve_http(SimulatorServer(simulator).app, sock, asyncio.Event())


if __name__ == "__main__":
    import uvloop

    uvloop.run(serve())
