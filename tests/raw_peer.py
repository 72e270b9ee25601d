"""A server that answers whatever it is told to: what no server in its right mind would say."""

import json
import re
import socket
import threading
from contextlib import ExitStack, closing, contextmanager

PATIENCE_S = 60.0


class Peer:
    """A server of raw bytes: `answer` goes to every request. None: the connection stays open, in silence."""

    def __init__(self, answer=None, drip=b"", context=None):
        self.answer, self.drip, self.context = answer, drip, context
        self.requests = []
        self.ended = threading.Event()
        self._door = socket.create_server(("127.0.0.1", 0))
        scheme = "https" if context else "http"
        self.url = f"{scheme}://127.0.0.1:{self._door.getsockname()[1]}"
        self._threads = [threading.Thread(target=self._serve)]
        self._threads[0].start()

    def _serve(self):
        while True:
            try:
                connection, _ = self._door.accept()
            except OSError:
                return
            thread = threading.Thread(target=self._one, args=(connection,))
            self._threads.append(thread)
            thread.start()

    def _one(self, connection):
        with connection:
            try:
                if self.context:
                    connection = self.context.wrap_socket(connection, server_side=True)
                with connection:
                    connection.settimeout(PATIENCE_S)
                    self._talk(connection)
            except OSError:
                return

    def _talk(self, connection):
        request, rest = b"", 1
        while rest > 0:
            piece = connection.recv(65536)
            if not piece:
                return
            request += piece
            head, found, body = request.partition(b"\r\n\r\n")
            length = re.search(rb"content-length: (\d+)", head.lower())
            rest = (int(length[1]) if length else 0) - len(body) if found else 1
        self.requests.append(request)
        if self.answer is not None:
            connection.sendall(self.answer)
            return
        while not self.ended.wait(0.05):
            connection.sendall(self.drip)

    def close(self):
        self.ended.set()
        self._door.shutdown(socket.SHUT_RDWR)
        self._door.close()
        for thread in self._threads:
            thread.join(PATIENCE_S)


@contextmanager
def peer(answer=None, **words):
    with closing(Peer(answer, **words)) as server:
        yield server


def http(status, body, kind="application/json", **headers):
    body = body if isinstance(body, bytes) else json.dumps(body).encode()
    lines = [f"HTTP/1.1 {status} X", f"Content-Length: {len(body)}", "Connection: close"]
    lines += [f"Content-Type: {kind}"] if kind else []
    lines += [f"{name}: {value}" for name, value in headers.items()]
    return "\r\n".join([*lines, "", ""]).encode() + body


def refusal(status, error_type, message="No."):
    return http(status, {"status": "error", "message": message, "error_type": error_type, "data": None})


@contextmanager
def dead_end(port):
    """An address of this machine where nothing answers: its door is full, and lets nobody in or know."""
    address = ("127.0.0.2", port)
    with socket.socket() as full, ExitStack() as waiting:
        full.bind(address)
        full.listen(0)
        for _ in range(3):
            each = waiting.enter_context(socket.socket())
            each.setblocking(False)
            each.connect_ex(address)
        yield address
