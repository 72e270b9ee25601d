"""What of a request has not reached the other end, and how it is kept from getting there late.

Whoever closes a connection leaves to the kernel what is still to be sent: over a network that was away it
repeats it for minutes, and an order that everybody has given up for lost is placed after all. A reset throws
it away. (tcp(7), SIOCOUTQ; socket(7), SO_LINGER.)
"""

import asyncio
import fcntl
import socket
import struct
import termios

NONE_LEFT = struct.pack("i", 0)
AT_ONCE = struct.pack("ii", 1, 0)
"""SO_LINGER of 0 seconds: closing is a reset."""


def unconfirmed(transport: asyncio.Transport) -> bool:
    """Has the other machine not confirmed all that was written? No for a connection that is over."""
    if transport.is_closing():
        return False
    if transport.get_write_buffer_size():
        return True
    # TIOCOUTQ is Linux's SIOCOUTQ: bytes that were not sent, or not confirmed.
    left = fcntl.ioctl(transport.get_extra_info("socket").fileno(), termios.TIOCOUTQ, NONE_LEFT)
    return left != NONE_LEFT


def withdraw(transport: asyncio.Transport) -> None:
    """End it so that nothing more of it is sent."""
    transport.get_extra_info("socket").setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, AT_ONCE)
    transport.abort()
