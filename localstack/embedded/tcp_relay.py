"""Another address for a port of this machine: bytes pass both ways, nobody looks at them.

Containers cannot reach what listens on the loopback interface. Opening the emulator to every network instead
would let anybody there run code in it; a relay on the container engine's own network lets containers in alone.
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
    """Listens on ``host`` for the length of the block; connections go on to the loopback's ``target_port``.

    Yields the port it listens on, chosen by the system. Raises ``OSError`` when this machine cannot
    listen on ``host``.
    """
    loop = asyncio.new_event_loop()
    try:
        server = loop.run_until_complete(asyncio.start_server(partial(_pass_on, target_port), host, 0))
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
    # Connections that are still open end with the block.
    others = asyncio.all_tasks() - {asyncio.current_task()}
    for task in others:
        task.cancel()
    await asyncio.gather(*others, return_exceptions=True)


async def _pass_on(port: int, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    try:
        upstream_reader, upstream_writer = await asyncio.open_connection(LOOPBACK, port)
    except OSError:
        writer.close()
        return
    try:
        await asyncio.gather(_copy(reader, upstream_writer), _copy(upstream_reader, writer))
    except OSError:
        pass  # One side hung up in the middle: so does the other.
    except asyncio.CancelledError:
        pass  # The relay ends. Raised on, asyncio would report it as an error of this connection.
    finally:
        upstream_writer.close()
        writer.close()


async def _copy(source: asyncio.StreamReader, target: asyncio.StreamWriter) -> None:
    while chunk := await source.read(_CHUNK_BYTES):
        target.write(chunk)
        await target.drain()
    if target.can_write_eof():
        target.write_eof()
