"""The server's life: certificates, signals, files, and what keeps it from starting."""

import http.client
import json
import signal
import socket
import ssl
import subprocess
from contextlib import closing, contextmanager
from functools import partial

import anyio
import pytest
from certificates import certificate
from cryptography.hazmat.primitives import serialization
from exchange_server import exchange_server
from running import COMMAND, FINISH_S, environment, eventually, run
from websockets.sync.client import connect

from alphapanda.errors import CannotStart
from alphapanda.exchange.options import Options
from alphapanda.exchange.serving.server import Start, serve

AUTHORIZATION = {"Authorization": "token rehearsal:today"}


@pytest.fixture
def hangup():
    """Sets what a child started from here does at a SIGHUP, whatever `nohup` has said of these tests."""
    before = signal.getsignal(signal.SIGHUP)
    yield partial(signal.signal, signal.SIGHUP)
    signal.signal(signal.SIGHUP, before)


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT, signal.SIGHUP])
def test_a_signal_ends_it_with_its_history_whole(tmp_path, number, hangup):
    hangup(signal.SIG_DFL)
    history = tmp_path / "history.ndjson"
    with (
        exchange_server(tmp_path, "--history", history) as server,
        closing(server.connection()) as idle,
    ):
        idle.request("GET", "/orders")
        idle.getresponse().read()
        before = server.history()
        server.send(number)
        assert server.ended() == 0
        assert server.stdout == f"ready {server.url}\n"
        assert "Traceback" not in server.stderr
    lines = [json.loads(line) for line in history.read_text().splitlines()]
    assert lines[: len(before)] == before
    assert lines[-1]["kind"] == "end"
    assert [line["seq"] for line in lines] == list(range(1, len(lines) + 1))


def test_a_hangup_that_was_ignored_at_the_start_is_ignored(tmp_path, hangup):
    hangup(signal.SIG_IGN)
    with exchange_server(tmp_path) as server, closing(server.connection()) as client:
        server.send(signal.SIGHUP)
        client.request("GET", "/orders")
        assert client.getresponse().status == 403
        server.send(signal.SIGTERM)
        assert server.ended() == 0


def test_the_tickers_end_is_told_and_in_the_history_before_its_own(tmp_path):
    history = tmp_path / "history.ndjson"
    with exchange_server(tmp_path, "--access-token", "today", "--history", history) as server:
        url = f"{server.ws}?api_key=rehearsal&access_token=today"
        with connect(url, proxy=None) as ticker:
            server.send(signal.SIGTERM)
            list(ticker)  # to its end
        assert ticker.close_code == 1001
        assert server.ended() == 0
        assert server.stderr.count("\n") == 1
    last = [json.loads(line)["kind"] for line in history.read_text().splitlines()[-2:]]
    assert last == ["ws_close", "end"]


@contextmanager
def as_a_child(folder, *words, stdin=subprocess.PIPE):
    """`exchange --ends-with-input`, and its standard output."""
    process = subprocess.Popen(
        [COMMAND, "exchange", "--port", "0", "--ends-with-input", *map(str, words)],
        cwd=folder,
        env=environment(),
        stdin=stdin,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
    )
    with process:  # closes its pipes, and waits
        try:
            yield process
        finally:
            process.kill()


def test_a_child_lives_on_what_it_is_told_and_ends_with_its_parent(tmp_path):
    history = tmp_path / "history.ndjson"
    with as_a_child(tmp_path, "--history", history) as child:
        assert child.stdout.readline().startswith(b"ready http://127.0.0.1:")
        child.stdin.write(b"some words\n" * 1000)
        child.stdin.flush()
        with pytest.raises(subprocess.TimeoutExpired):
            child.wait(0.2)
        child.stdin.close()
        assert child.wait(FINISH_S) == 0
        assert b"Traceback" not in child.stderr.read()
    assert json.loads(history.read_text().splitlines()[-1])["kind"] == "end"


def test_a_child_without_anybody_at_its_input_ends_at_once(tmp_path):
    with as_a_child(tmp_path, stdin=subprocess.DEVNULL) as child:
        assert child.stdout.readline().startswith(b"ready ")
        assert child.wait(FINISH_S) == 0
        assert b"Error" not in child.stderr.read()


def test_a_call_that_waits_does_not_hold_up_the_end(tmp_path):
    script = tmp_path / "faults.toml"
    script.write_text('[[fault]]\non = "profile"\ndo = "delay_before"\nseconds = 600\n')
    with (
        exchange_server(tmp_path, "--access-token", "today", "--script", script) as server,
        closing(server.connection()) as waiting,
    ):
        waiting.request("GET", "/user/profile", headers=AUTHORIZATION)
        eventually(lambda: server.history("fault"), process=server.process)
        server.send(signal.SIGTERM)
        assert server.ended() == 0


def test_the_history_file_has_each_line_at_once_and_is_begun_anew(tmp_path):
    history = tmp_path / "history.ndjson"
    for _ in range(2):
        with exchange_server(tmp_path, "--paused", "--history", history) as server:
            assert history.read_bytes() == server.get("/admin/history")
            server.admin("clock", {"step": 1})
            text = history.read_bytes()
            assert text == server.get("/admin/history")
            assert json.loads(text.splitlines()[0])["kind"] == "start"
            server.process.kill()
            server.ended()
        assert history.read_bytes() == text


def test_a_history_that_cannot_be_written_any_more_ends_it(tmp_path):
    done = run(tmp_path, "exchange", "--port", 0, "--history", "/dev/full")
    assert done.code == 1
    assert "/dev/full" in done.stderr.splitlines()[-1]
    assert "Traceback" not in done.stderr


def test_a_port_that_is_taken_is_named(tmp_path):
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = taken.getsockname()[1]
        done = run(tmp_path, "exchange", "--port", port)
    assert (done.code, done.stdout) == (3, "")
    assert f"port {port}" in done.line
    assert "--port" in done.line


def test_an_exchange_whose_port_is_taken_leaves_the_history_of_the_other_alone(tmp_path):
    history = tmp_path / "history.ndjson"
    with exchange_server(tmp_path, "--history", history) as server:
        before = history.read_bytes()
        done = run(tmp_path, "exchange", "--port", server.port, "--history", history)
        assert done.code == 3
        assert history.read_bytes() == before


def refused(options=(), **words):
    """The line of a start that was none."""
    said = []
    start = Start(options=Options(**dict(options)), **words)
    with pytest.raises(CannotStart) as caught:
        anyio.run(partial(serve, start, ready=said.append, say=said.append))
    assert said == []
    line = str(caught.value)
    assert "\n" not in line
    return line


@pytest.mark.parametrize(
    ("option", "name", "text", "said"),
    [
        ("script", "faults.toml", None, "No such file"),
        ("script", "faults.toml", "[[fault", "TOML"),
        ("script", "faults.toml", '[[fault]]\non = "orders"\ndo = "fly"\n', "fault 1"),
        ("data", "prices.csv", None, "prices.csv"),
        ("data", "prices.csv", "no,such,columns\n1,2,3\n", "prices.csv"),
        ("history", "no/folder/history.ndjson", None, "No such file"),
    ],
)
def test_a_file_that_is_no_good_is_named_with_its_option_and_the_reason(tmp_path, option, name, text, said):
    path = tmp_path / name
    if text is not None:
        path.write_text(text)
    line = refused({"data": (path,)}) if option == "data" else refused(**{option: path})
    assert line.startswith(f"--{option} ")
    assert name in line
    assert said in line


def test_with_a_certificate_it_speaks_tls_and_faults_still_strike(tmp_path):
    cert, key = certificate(tmp_path)
    script = tmp_path / "faults.toml"
    script.write_text('[[fault]]\non = "profile"\ndo = "reset_after"\nnth = 2\n')
    words = ("--access-token", "today", "--tls-cert", cert, "--tls-key", key, "--script", script)
    with exchange_server(tmp_path, *words) as server:
        assert server.url.startswith("https://127.0.0.1:")
        trusting = ssl.create_default_context(cafile=cert)
        connection = http.client.HTTPSConnection("127.0.0.1", server.port, timeout=FINISH_S, context=trusting)
        with closing(connection):
            connection.request("GET", "/user/profile", headers=AUTHORIZATION)
            reply = connection.getresponse()
            assert json.load(reply)["data"]["user_id"] == "RH0001"
            connection.request("GET", "/user/profile", headers=AUTHORIZATION)
            with pytest.raises(ConnectionResetError):
                connection.getresponse()
        stranger = http.client.HTTPSConnection(
            "127.0.0.1", server.port, timeout=FINISH_S, context=ssl.create_default_context()
        )
        with closing(stranger), pytest.raises(ssl.SSLCertVerificationError):
            stranger.request("GET", "/")
        server.send(signal.SIGTERM)
        assert server.ended() == 0
        assert "Traceback" not in server.stderr


def test_a_key_behind_a_passphrase_is_refused_and_nobody_is_asked_for_it(tmp_path):
    cert, key = certificate(tmp_path)
    locked = tmp_path / "locked.pem"
    locked.write_bytes(
        serialization.load_pem_private_key(key.read_bytes(), None).private_bytes(
            serialization.Encoding.PEM,
            serialization.PrivateFormat.PKCS8,
            serialization.BestAvailableEncryption(b"secret"),
        )
    )
    words = ("--port", 0, "--tls-cert", cert, "--tls-key", locked)
    done = run(tmp_path, "exchange", *words)
    assert (done.code, done.stdout) == (3, "")
    assert "passphrase" in done.line


@pytest.mark.parametrize(
    ("option", "value"),
    [("--speed", "1e300"), ("--redirect-url", "http://[::1"), ("--redirect-url", "x y")],
)
def test_a_value_that_would_break_it_later_is_refused_at_once(tmp_path, option, value):
    done = run(tmp_path, "exchange", "--port", 0, option, value)
    assert (done.code, done.stdout) == (2, "")
    assert option in done.line


def test_a_certificate_without_its_key_is_refused(tmp_path):
    cert, key = certificate(tmp_path)
    assert cert.name in refused(certificate=cert, key=cert)
    assert "missing.pem" in refused(certificate=tmp_path / "missing.pem", key=key)


def test_at_the_highest_speed_an_order_is_done_and_the_clock_waits(tmp_path):
    with exchange_server(tmp_path, "--speed", "max", "--access-token", "today") as server:
        start = server.admin("clock")
        assert start.pop("exchange")
        assert start == {"now": "2026-04-15T09:15:00+05:30", "speed": "max", "paused": False}
        order = {"exchange": "NSE", "tradingsymbol": "INFY", "transaction_type": "BUY", "quantity": 1}
        order |= {"product": "CNC", "order_type": "MARKET", "market_protection": -1}
        server.admin("orders", order)
        rows = eventually(
            lambda: [row for row in server.history("order") if row["status"] == "COMPLETE"],
            process=server.process,
        )
        assert rows
        assert server.admin("clock")["now"] < "2026-04-15T09:20"
