"""The exchange as a server on 127.0.0.1: started, ready, and ended by a signal."""

import logging
import os
import secrets
import signal
import socket
import sys
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from time import monotonic_ns, time_ns
from typing import BinaryIO

import anyio
from aiohttp import web
from msgspec import Struct

import alphapanda
from alphapanda.errors import CannotStart, DataError, Fatal
from alphapanda.exchange.exchange import Exchange
from alphapanda.exchange.faults import Script, read_script
from alphapanda.exchange.options import Options
from alphapanda.exchange.rest.gateway import Gateway
from alphapanda.exchange.serving import admin, http
from alphapanda.exchange.serving.pump import PUMP, Pump
from alphapanda.exchange.serving.sockets import ticker
from alphapanda.exchange.serving.tls import context_of
from alphapanda.times import to_ist

HOST = "127.0.0.1"
SHUTDOWN_S = 0.5
"""How long open requests and connections may take when the exchange ends."""
IDLE_S = 75.0
"""After which a connection without a request is closed."""


class Start(Struct, frozen=True, kw_only=True):
    """How the server is started. `port` 0 takes a free one; `history` is a file that is written anew."""

    options: Options
    port: int = 0
    speed: float = 1.0
    paused: bool = False
    script: Path | None = None
    history: Path | None = None
    certificate: Path | None = None
    key: Path | None = None
    ends_with_input: bool = False
    """When stdin ends, so does it: whoever started it as a child has gone."""


class HistoryFile:
    """Each line is in the file before the next thing happens. `failed` is set when one cannot be written."""

    def __init__(self, path: Path | None) -> None:
        self._path = path
        self._file: BinaryIO | None = None
        self.failed = anyio.Event()

    def open(self) -> None:
        try:
            self._file = self._path.open("wb", buffering=0) if self._path is not None else None
        except OSError as error:
            raise CannotStart(
                f"--history {self._path} cannot be written: {error.strerror}; give another file"
            ) from error

    def write(self, line: bytes) -> None:
        if self._file is None:
            return
        try:
            self._file.write(line)
        except OSError:
            self.failed.set()

    def close(self) -> None:
        """What comes later is not written any more."""
        if self._file is not None:
            self._file.close()
            self._file = None


class OneLine(logging.Handler):
    """What the web server says of a request that it could not read or answer: a line, no traceback."""

    def __init__(self, say: Callable[[str], None]) -> None:
        super().__init__(logging.WARNING)
        self._say = say

    def emit(self, record: logging.LogRecord) -> None:
        why = record.exc_info[1] if record.exc_info else None
        words = record.getMessage() if why is None else f"{record.getMessage()}: {type(why).__name__}: {why}"
        self._say(" ".join(words.split()))


def _log(say: Callable[[str], None]) -> logging.Logger:
    logger = logging.getLogger("alphapanda.exchange")
    logger.handlers, logger.propagate = [OneLine(say)], False
    return logger


async def serve(start: Start, *, ready: Callable[[str], None], say: Callable[[str], None]) -> None:
    """Until SIGTERM, SIGINT or SIGHUP. `ready` gets the root once requests are answered, `say` lines for a
    person.

    Raises CannotStart, and Fatal where the history can no longer be written.
    """
    tls, script = context_of(start.certificate, start.key), _script(start.script)
    listener = _listening(start.port)  # before a file is begun anew that another exchange is writing
    file = HistoryFile(start.history)
    try:
        file.open()
        exchange = _exchange(start, script, file)
        begun = _begun(exchange, start)
        pump = Pump(exchange)
        runner = web.AppRunner(
            _application(pump, Gateway(exchange, say=say)),
            handle_signals=False,
            access_log=None,
            logger=_log(say),
            keepalive_timeout=IDLE_S,
            shutdown_timeout=SHUTDOWN_S,
            max_line_size=http.LONGEST_LINE,
        )
        await runner.setup()
        try:
            await web.SockSite(runner, listener, ssl_context=tls).start()
            for line in (*exchange.market.notes, begun):
                say(line)
            root = f"{'https' if tls else 'http'}://{HOST}:{runner.addresses[0][1]}"
            await _run(pump, file, lambda: ready(root), ends_with_input=start.ends_with_input)
        except ExceptionGroup as group:  # what went wrong inside is said, not that a group did
            raise group.exceptions[0] from None
        finally:
            await runner.cleanup()
            exchange.history.add("end", exchange.clock.now_ns)
    finally:
        file.close()
        listener.close()
    if file.failed.is_set():
        raise Fatal(f"--history {start.history} can no longer be written: the disk is full or gone")


def _script(path: Path | None) -> Script:
    if path is None:
        return Script()
    try:
        return read_script(path.read_text(encoding="utf-8"), str(path))
    except OSError as error:
        raise CannotStart(f"--script {path} cannot be read: {error.strerror}; give another file") from error
    except UnicodeDecodeError as error:
        raise CannotStart(f"--script {path} is not UTF-8 text; save it as UTF-8") from error
    except DataError as error:
        raise CannotStart(f"--script {error}") from error


def _exchange(start: Start, script: Script, file: HistoryFile) -> Exchange:
    try:
        exchange = Exchange(start.options, script, wall=time_ns, speed=start.speed, write=file.write)
    except DataError as error:
        raise CannotStart(f"--data {error}") from error
    if start.paused:
        exchange.clock.pause(monotonic_ns())
    return exchange


def _begun(exchange: Exchange, start: Start) -> str:
    """The first line of the history; for a person, what there is."""
    listed, opens = len(exchange.market.listing.all()), to_ist(exchange.clock.now_ns)
    exchange.history.add(
        "start",
        exchange.clock.now_ns,
        seed=start.options.seed,
        instruments=listed,
        data=[path.name for path in start.options.data],
        speed=start.speed or "max",
        paused=start.paused,
        rate_limits=start.options.rate_limits,
        version=alphapanda.__version__,
    )
    many = "instrument" if listed == 1 else "instruments"
    return f"{listed} {many}, {opens:%Y-%m-%d %H:%M:%S} IST, seed {start.options.seed}"


def _application(pump: Pump, gateway: Gateway) -> web.Application:
    application = web.Application(client_max_size=http.LONGEST_BODY)
    application[PUMP], application[http.GATEWAY] = pump, gateway
    application[admin.NUMBER] = secrets.token_hex(4)
    application.on_shutdown.append(_hang_up)
    application.add_routes(
        [web.get("/ws", ticker), *admin.routes(), web.route("*", "/{rest:.*}", http.answer)]
    )
    return application


async def _hang_up(application: web.Application) -> None:
    """The tickers hear of the end, and the history of theirs."""
    exchange = application[PUMP].exchange
    exchange.stream.stop(exchange.clock.now_ns)


def _listening(port: int) -> socket.socket:
    """Whoever connects waits until requests are answered."""
    try:
        return socket.create_server((HOST, port))
    except OSError as error:
        raise CannotStart(
            f"port {port} of {HOST} cannot be used: {os.strerror(error.errno or 0)}; "
            "say --port with another number, or 0 for a free one"
        ) from error


def _endings() -> list[signal.Signals]:
    """SIGHUP ends it too, but where whoever started it (nohup) had it ignored."""
    ignored = signal.getsignal(signal.SIGHUP) == signal.SIG_IGN
    return [signal.SIGTERM, signal.SIGINT, *([] if ignored else [signal.SIGHUP])]


async def _run(pump: Pump, file: HistoryFile, ready: Callable[[], None], *, ends_with_input: bool) -> None:
    """Until a signal, the end of stdin where it counts, or until the history cannot be written."""
    with anyio.open_signal_receiver(*_endings()) as signals:
        async with anyio.create_task_group() as tasks:

            async def watch_file() -> None:
                await file.failed.wait()
                tasks.cancel_scope.cancel()

            async def watch_input() -> None:
                reader = sys.stdin.fileno()
                with suppress(PermissionError):  # a file, or /dev/null: nobody is there to wait for
                    await anyio.wait_readable(reader)
                    while os.read(reader, 1024):
                        await anyio.wait_readable(reader)
                tasks.cancel_scope.cancel()

            tasks.start_soon(pump.run)
            tasks.start_soon(watch_file)
            if ends_with_input:
                tasks.start_soon(watch_input)
            ready()
            async for _ in signals:
                break
            tasks.cancel_scope.cancel()
