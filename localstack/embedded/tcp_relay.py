"""Forwards TCP connections from another network interface to a port on the loopback interface.

Containers cannot reach the loopback interface. If the emulator listened on all interfaces, anybody in the network could
run code in it. A relay on the container engine's network lets in only containers.
"""

import asyncio
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from functools import partial

from localstack.embedded.ports import LOOPBACK

_CHUNK_BYTES = 64 * 1024


@contextmanager
def relay(host: str, target_port: int) -> Iterator[int]:
    """Listens on ``host`` and forwards connections to ``target_port`` on the loopback interface, for the length of the
    block.

    Yields the port it listens on. Raises ``OSError`` when this machine cannot listen on ``host``.
    """
    loop = asyncio.new_event_loop()
    try:
        server = loop.run_until_complete(asyncio.start_server(partial(_forward, target_port), host, 0))
        thread = threading.Thread(target=loop.run_forever, name="relay", daemon=True)
        thread.start()
        try:
            port: int = server.sockets[0].getsockname()[1]
            yield port
        finally:
            asyncio.run_coroutine_threadsafe(_end(server), loop).result(timeout=10)
            loop.call_soon_threadsafe(loop.stop)
            thread.join(timeout=10)
    finally:
        loop.close()


async def _end(server: asyncio.Server) -> None:
    server.close()
    # Connections that are still open are closed.
    others = asyncio.all_tasks() - {asyncio.current_task()}
    for task in others:
        task.cancel()
    await asyncio.gather(*others, return_exceptions=True)


async def _forward(port: int, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    try:
        upstream_reader, upstream_writer = await asyncio.open_connection(LOOPBACK, port)
    except OSError:
        writer.close()
        return
    try:
        await asyncio.gather(_copy(reader, upstream_writer), _copy(upstream_reader, writer))
    except OSError:
        pass  # One side closed the connection: so does the other.
    except asyncio.CancelledError:
        pass  # The relay ends. asyncio would report the exception as an error of this connection.
    finally:
        upstream_writer.close()
        writer.close()


async def _copy(source: asyncio.StreamReader, target: asyncio.StreamWriter) -> None:
    while chunk := await source.read(_CHUNK_BYTES):
        target.write(chunk)
        await target.drain()
    if target.can_write_eof():
        target.write_eof()
