"""The exchange as a user starts it: the installed command as a child, ended by its id."""

import http.client
import json
import signal
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit
from urllib.request import ProxyHandler, Request, build_opener

from running import COMMAND, FINISH_S, environment, eventually


def _open(request: Request | str, *, timeout: float) -> Any:
    """By an opener of its own: Python 3.13 reads SSL_CERT_FILE when one is made."""
    return build_opener(ProxyHandler({})).open(request, timeout=timeout)


class ExchangeServer:
    """One that runs. `url` is its REST root, `ws` the ticker's; both end in nothing."""

    def __init__(self, process: subprocess.Popen[bytes], folder: Path, out: Path, log: Path) -> None:
        self.process = process
        self.folder = folder
        self.out = out
        self.log = log
        self.url = ""

    @property
    def ws(self) -> str:
        return f"{self.url.replace('http', 'ws', 1)}/ws"

    @property
    def port(self) -> int:
        port = urlsplit(self.url).port
        assert port is not None
        return port

    @property
    def stdout(self) -> str:
        return self.out.read_text(encoding="utf-8")

    @property
    def stderr(self) -> str:
        return self.log.read_text(encoding="utf-8")

    def send(self, number: signal.Signals) -> None:
        self.process.send_signal(number)

    def ended(self, within: float = FINISH_S) -> int:
        """Its exit code."""
        return self.process.wait(within)

    def connection(self) -> http.client.HTTPConnection:
        """A plain connection to it; the caller closes it."""
        return http.client.HTTPConnection("127.0.0.1", self.port, timeout=FINISH_S)

    def get(self, path: str) -> bytes:
        with _open(f"{self.url}{path}", timeout=FINISH_S) as reply:
            body: bytes = reply.read()
        return body

    def admin(self, path: str, document: Any = None) -> Any:
        """GET, or POST of a JSON document; the JSON that is answered."""
        if document is None:
            return json.loads(self.get(f"/admin/{path}"))
        request = Request(f"{self.url}/admin/{path}", json.dumps(document).encode(), method="POST")
        with _open(request, timeout=FINISH_S) as reply:
            return json.load(reply)

    def history(self, *kinds: str, after: int = 0) -> list[dict[str, Any]]:
        """The lines so far, of these kinds where any are named."""
        words = f"&kind={','.join(kinds)}" if kinds else ""
        return [json.loads(line) for line in self.get(f"/admin/history?after={after}{words}").splitlines()]


@contextmanager
def exchange_server(folder: Path, *words: object) -> Iterator[ExchangeServer]:
    """`alphapanda exchange --port 0 words…`, which is ready when the block begins and does not outlive it."""
    number = sum(1 for _ in folder.glob("exchange-*.log"))
    out, log = folder / f"exchange-{number}.out", folder / f"exchange-{number}.log"
    with out.open("wb") as output, log.open("wb") as errors:
        process = subprocess.Popen(
            [COMMAND, "exchange", "--port", "0", *map(str, words)],
            cwd=folder,
            env=environment(),
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=errors,
        )
    server = ExchangeServer(process, folder, out, log)
    try:
        eventually(lambda: server.stdout.endswith("\n"), process=process)
        server.url = server.stdout.splitlines()[0].removeprefix("ready ")
        yield server
    finally:
        if process.poll() is None:
            process.send_signal(signal.SIGCONT)
            process.kill()
        process.wait(FINISH_S)
