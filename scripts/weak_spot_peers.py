"""The other end of the weak spots: TLS servers with bad certificates that record what they could read, and a
ticker that falls silent. All on 127.0.0.1, each connection in a thread.
"""

import base64
import datetime as dt
import hashlib
import ipaddress
import socket
import ssl
import struct
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from time import monotonic

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

CASES = ("good", "expired", "self-signed", "wrong host")
BAD = CASES[1:]
TOKEN = "a-token-nobody-may-read"  # noqa: S105 - it is looked for in what a server could read
INSTRUMENT = 408065
_PATIENCE_S = 60.0
_PROFILE = (
    b'{"status":"success","data":{"user_id":"RH0001","user_name":"R","exchanges":[],"products":[],"net":[]}}'
)
_MAGIC = b"258EAFA5-E914-47DA-95CA-C5AB0DC85B11"  # RFC 6455, 1.3
_Key = ec.EllipticCurvePrivateKey


def certificates(folder: Path) -> Path:
    """Key and certificate for each case; the path of the authority's, which signed all but one."""
    authority = ec.generate_private_key(ec.SECP256R1())
    root = _certificate("the trial's authority", authority, None, authority)
    (folder / "authority.pem").write_bytes(root.public_bytes(serialization.Encoding.PEM))
    for case in CASES:
        key = ec.generate_private_key(ec.SECP256R1())
        issuer = None if case == "self-signed" else root
        made = _certificate(
            case,
            key,
            issuer,
            key if issuer is None else authority,
            until=2002 if case == "expired" else 2100,
            host="kite.example" if case == "wrong host" else "127.0.0.1",
        )
        (folder / f"{case}.pem").write_bytes(
            key.private_bytes(
                serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
            )
            + made.public_bytes(serialization.Encoding.PEM)
        )
    return folder / "authority.pem"


def _usage(*, may_sign: bool) -> x509.KeyUsage:
    return x509.KeyUsage(
        digital_signature=True,
        key_cert_sign=may_sign,
        crl_sign=may_sign,
        content_commitment=False,
        key_encipherment=False,
        data_encipherment=False,
        key_agreement=False,
        encipher_only=False,
        decipher_only=False,
    )


def _certificate(
    name: str,
    key: _Key,
    issuer: x509.Certificate | None,
    signed_by: _Key,
    *,
    until: int = 2100,
    host: str | None = None,
) -> x509.Certificate:
    """Good from 2001 to the year; without `host` it is an authority's. It has all that Python 3.13 asks of a
    chain (VERIFY_X509_STRICT).
    """
    subject = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name)])
    builder = (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(issuer.subject if issuer else subject)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(dt.datetime(2001, 1, 1, tzinfo=dt.UTC))
        .not_valid_after(dt.datetime(until, 1, 1, tzinfo=dt.UTC))
        .add_extension(x509.BasicConstraints(ca=host is None, path_length=None), critical=True)
        .add_extension(x509.SubjectKeyIdentifier.from_public_key(key.public_key()), critical=False)
        .add_extension(
            x509.AuthorityKeyIdentifier.from_issuer_public_key(signed_by.public_key()), critical=False
        )
        .add_extension(_usage(may_sign=host is None), critical=True)
    )
    if host is not None:
        names: list[x509.GeneralName] = [
            x509.DNSName(host) if host[-1].isalpha() else x509.IPAddress(ipaddress.ip_address(host))
        ]
        builder = builder.add_extension(x509.SubjectAlternativeName(names), critical=False)
    return builder.sign(signed_by, hashes.SHA256())


class Peer:
    """One listener. `tried`: connections that came; `connected`: TLS was agreed; `read`: every byte read."""

    def __init__(self, certificate: Path | None = None) -> None:
        self._context: ssl.SSLContext | None = None
        if certificate is not None:
            self._context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
            self._context.load_cert_chain(certificate)
        self._listener = socket.create_server(("127.0.0.1", 0))
        self._open: set[socket.socket] = set()
        self._lock = threading.Lock()
        self.port: int = self._listener.getsockname()[1]
        self.tried = self.connected = self.ended = 0
        self.read = b""
        threading.Thread(target=self._accept, daemon=True).start()

    @property
    def token_read(self) -> bool:
        return TOKEN.encode() in self.read

    def close(self) -> None:
        with suppress(OSError):
            self._listener.shutdown(socket.SHUT_RDWR)
        self._listener.close()
        with self._lock:
            for each in self._open:
                with suppress(OSError):
                    each.shutdown(socket.SHUT_RDWR)

    def _accept(self) -> None:
        with suppress(OSError):  # closed
            while True:
                tcp, _ = self._listener.accept()
                threading.Thread(target=self._serve, args=(tcp,), daemon=True).start()

    def _serve(self, tcp: socket.socket) -> None:
        self.tried += 1
        tcp.settimeout(_PATIENCE_S)
        try:
            connection = self._context.wrap_socket(tcp, server_side=True) if self._context else tcp
        except OSError:  # refused by the client: what it is for
            tcp.close()
            self.ended += 1
            return
        with self._lock:
            self._open.add(connection)
        self.connected += 1
        with suppress(OSError), connection:
            self._talk(connection)
        with self._lock:
            self._open.discard(connection)
        self.ended += 1

    def _talk(self, connection: socket.socket) -> None:
        """Reads on till the client goes; `spoken` once the request's head is whole."""
        request = b""
        try:
            while more := connection.recv(65_536):
                self.read += more
                if b"\r\n\r\n" not in request:
                    request += more
                    if b"\r\n\r\n" in request:
                        connection.sendall(_answer(request))
                        self.spoken(connection)
        finally:
            self.left()

    def spoken(self, connection: socket.socket) -> None:
        """The answer has gone."""

    def left(self) -> None:
        """The client has closed, or reset."""


def _answer(request: bytes) -> bytes:
    if b"\r\nupgrade: websocket" not in request.lower():
        head = "HTTP/1.1 200 OK\r\nContent-Type: application/json\r\n"
        return f"{head}Content-Length: {len(_PROFILE)}\r\n\r\n".encode() + _PROFILE
    key = next(
        line.split(b":", 1)[1].strip()
        for line in request.split(b"\r\n")
        if line.lower().startswith(b"sec-websocket-key")
    )
    accept = base64.b64encode(hashlib.sha1(key + _MAGIC).digest())  # noqa: S324 - RFC 6455 wants it
    return (
        b"HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
        b"Sec-WebSocket-Accept: " + accept + b"\r\n\r\n"
    )


class Mute(Peer):
    """A ticker that sends one frame with one tick, and then nothing while TCP stays open: no pong either.

    `silent_at` and `left_at` are of the first connection, in monotonic seconds.
    """

    def __init__(self) -> None:
        self.silent_at: float | None = None
        self.left_at: float | None = None
        super().__init__()

    def spoken(self, connection: socket.socket) -> None:
        packet = struct.pack(">II", INSTRUMENT, 150_000).ljust(184, b"\0")
        payload = struct.pack(">HH", 1, len(packet)) + packet
        connection.sendall(struct.pack(">BBH", 0x82, 126, len(payload)) + payload)
        if self.silent_at is None:
            self.silent_at = monotonic()

    def left(self) -> None:
        if self.left_at is None:
            self.left_at = monotonic()

    def noticed_s(self) -> float | None:
        """None while the client still holds on."""
        if self.silent_at is None or self.left_at is None:
            return None
        return self.left_at - self.silent_at


@contextmanager
def bad_peers(folder: Path) -> Iterator[dict[str, Peer]]:
    """One for each case."""
    peers = {case: Peer(folder / f"{case}.pem") for case in CASES}
    try:
        yield peers
    finally:
        for peer in peers.values():
            peer.close()


@contextmanager
def mute_peers(names: list[str]) -> Iterator[dict[str, Mute]]:
    peers = {name: Mute() for name in names}
    try:
        yield peers
    finally:
        for peer in peers.values():
            peer.close()
