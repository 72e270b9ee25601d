"""A TCP connection to whichever address of a name answers: IPv6 leads nowhere on many a line.

asyncio's own way of trying two at once (`happy_eyeballs_delay`) leaves a socket open when it is cancelled in
the wrong moment; these are tried one after the other.
"""

import asyncio
import socket
from typing import Any

import anyio


async def reach(host: str, port: int, within_s: float) -> socket.socket:
    """Connected and not blocking. Each address of the host has its share of what is left of the time.

    Raises OSError, of which TimeoutError is one; ValueError for a name that is none.
    """
    loop = asyncio.get_running_loop()
    ends_s = loop.time() + within_s
    with anyio.fail_after(within_s):
        found = await loop.getaddrinfo(host, port, type=socket.SOCK_STREAM)
    failure: OSError = OSError(f"{host} has no address")
    for number, (family, kind, protocol, _, address) in enumerate(found):
        try:
            with anyio.fail_after((ends_s - loop.time()) / (len(found) - number)):
                return await _connected(socket.socket(family, kind, protocol), address)
        except OSError as error:
            failure = error
    raise failure


async def _connected(made: socket.socket, address: Any) -> socket.socket:
    made.setblocking(False)
    try:
        await asyncio.get_running_loop().sock_connect(made, address)
    except BaseException:
        made.close()
        raise
    return made
