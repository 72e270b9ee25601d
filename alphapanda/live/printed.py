"""What a strategy prints, as lines of our own log.

`printed()` puts a stream in the place of `sys.stdout`. A print that went to descriptor 2 itself would come
between the pieces of other lines, without their prefix, with secrets, and would wait for whoever reads them.
"""

import io
from codecs import IncrementalDecoder, getincrementaldecoder
from collections import deque
from collections.abc import Iterator
from contextlib import contextmanager, redirect_stdout
from threading import get_ident
from typing import Any

from loguru import logger

from alphapanda.config.redaction import redact

trading = logger.bind(channel="trading")

LONGEST = 4096
"""Characters of a line; a longer one goes on in the next."""
WAITING = 1000
DECODER = getincrementaldecoder("utf-8")


@contextmanager
def printed() -> Iterator[None]:
    """Each whole line is said at level INFO; what has no newline in the end is said at the end."""
    lines = Lines()
    with redirect_stdout(io.TextIOWrapper(lines, "utf-8", "backslashreplace", write_through=True)):
        try:
            yield
        finally:
            lines.end()


class Lines(io.BufferedIOBase):
    """What is written, line by line: `sys.stdout.buffer`. From any thread, each with an unfinished line of
    its own. No lock is held, for a destructor may print in the middle of another print. It has no descriptor.
    """

    name = "<stdout>"

    def __init__(self) -> None:
        self._unfinished: dict[int, tuple[IncrementalDecoder, str]] = {}
        """By thread."""
        self._waiting: deque[str] = deque(maxlen=WAITING)

    def writable(self) -> bool:
        return True

    def close(self) -> None:
        """It is everybody's: who closes it does not close it for the others."""

    def write(self, data: Any, /) -> int:
        """Bytes of UTF-8. Neither waits nor raises; empty lines are left out."""
        octets, thread = bytes(data), get_ident()
        decoder, before = self._unfinished.pop(thread, (DECODER("backslashreplace"), ""))
        *whole, rest = (before + decoder.decode(octets)).split("\n")
        for line in whole:
            self._say(line)
        if len(rest) > 2 * LONGEST:
            rest = self._say_beginning(rest)
        if rest or decoder.getstate()[0]:
            self._unfinished[thread] = decoder, rest
        return len(octets)

    def end(self) -> None:
        """What is unfinished is said as it is."""
        for thread in list(self._unfinished):
            decoder, rest = self._unfinished.pop(thread)
            self._say(rest + decoder.decode(b"", final=True))

    def _say_beginning(self, text: str) -> str:
        """All but the end, in which a secret may have begun: it is struck out once it is whole."""
        text = redact(text)
        while len(text) > 2 * LONGEST:
            self._log(text[:LONGEST])
            text = text[LONGEST:]
        return text

    def _say(self, line: str) -> None:
        line = redact(line).rstrip()
        for begin in range(0, len(line), LONGEST):
            self._log(line[begin : begin + LONGEST])

    def _log(self, text: str) -> None:
        """What a destructor prints while this thread is within the log waits until it is out of it."""
        self._waiting.append(text)
        while True:
            try:
                text = self._waiting.popleft()
            except IndexError:  # all is said, by this thread or another
                return
            try:
                trading.info("printed: {}", text)
            except RuntimeError:
                self._waiting.appendleft(text)
                return
