"""Which addresses are of this machine: only they may do without TLS, and no real order is beyond them."""

import re

# Strict on purpose: a look-alike such as localhost.example.com or 127.0.0.1@example.com is not loopback.
_LOOPBACK = re.compile(
    r"(https?|wss?)://(localhost|127(\.\d{1,3}){3}|\[::1\])(:\d{1,5})?(/[\w./-]*)?", re.ASCII
)


def is_loopback(address: str) -> bool:
    return _LOOPBACK.fullmatch(address) is not None
