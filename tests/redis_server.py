"""A real Redis of the test's own: on a free port of this machine, in a temporary folder, ended by its id."""

import os
import signal
import socket
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

import redis
from running import FINISH_S, eventually


class RedisAt:
    """One that runs somewhere, to be looked into."""

    def __init__(self, url: str) -> None:
        self.url = url

    def client(self) -> Any:
        """`with server.client() as client`"""
        return redis.Redis.from_url(self.url, decode_responses=True, socket_timeout=FINISH_S)

    def ask(self, *words: str | int) -> Any:
        """One command, as redis-cli would send it."""
        with self.client() as client:
            return client.execute_command(*words)


class RedisServer(RedisAt):
    """Started, stopped, continued, killed and started again, always on the same port."""

    def __init__(self, folder: Path, password: str = "", *words: str) -> None:
        self.folder = folder
        self.words = words
        self.port = _free_port()
        self.password = password
        self.process: subprocess.Popen[bytes] | None = None
        super().__init__(self.url_with(password))

    def url_with(self, password: str) -> str:
        login = f":{password}@" if password else ""
        return f"redis://{login}127.0.0.1:{self.port}/0"

    def start(self) -> None:
        words = ["--port", str(self.port), "--bind", "127.0.0.1", "--dir", str(self.folder)]
        words += ["--save", "", "--appendonly", "no", *self.words]
        if self.password:
            words += ["--requirepass", self.password]
        with (self.folder / "redis.log").open("ab") as log:
            self.process = subprocess.Popen(
                ["redis-server", *words], stdin=subprocess.DEVNULL, stdout=log, stderr=log
            )
        eventually(self._answers, process=self.process)

    def _answers(self) -> bool:
        with suppress(redis.ConnectionError), self.client() as client:
            return bool(client.ping())
        return False

    def send(self, number: signal.Signals) -> None:
        assert self.process is not None
        os.kill(self.process.pid, number)

    def stop(self) -> None:
        if self.process is not None and self.process.poll() is None:
            self.process.send_signal(signal.SIGCONT)
            self.process.kill()
        if self.process is not None:
            self.process.wait(FINISH_S)


@contextmanager
def shared_redis(folder: Path) -> Iterator[RedisAt]:
    """For a test that does not disturb it: the one of this test run, emptied, or one of its own.

    Tests that run side by side have a database each (`gw0`, `gw1`, ... are pytest-xdist's names of them).
    """
    url = os.environ.get("ALPHAPANDA_TEST_REDIS_URL")
    if url:
        database = os.environ.get("PYTEST_XDIST_WORKER", "gw0").removeprefix("gw")
        shared = RedisAt(f"{url.rpartition('/')[0]}/{database}")
        shared.ask("FLUSHDB")
        yield shared
    else:
        with redis_server(folder) as server:
            yield server


@contextmanager
def redis_server(folder: Path, password: str = "", *words: str) -> Iterator[RedisServer]:
    """One that runs, with more `words` of its configuration; it does not outlive the block."""
    folder.mkdir(exist_ok=True)
    server = RedisServer(folder, password, *words)
    try:
        server.start()
        yield server
    finally:
        server.stop()


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port
