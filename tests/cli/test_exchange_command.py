"""The command `exchange`."""

import pytest
from exchange_server import exchange_server
from running import run
from typer.testing import CliRunner

from alphapanda.cli.app import app


def test_it_needs_no_configuration_and_says_first_where_it_is(tmp_path):
    with exchange_server(tmp_path) as server:
        assert server.stdout == f"ready {server.url}\n"
        assert server.url == f"http://127.0.0.1:{server.port}"
        assert server.get("/admin/")
        assert [path.name for path in tmp_path.iterdir() if not path.name.startswith("exchange-")] == []


def test_a_configuration_that_is_broken_does_not_matter(tmp_path):
    (tmp_path / "config.toml").write_text("[[[")
    with exchange_server(tmp_path) as server:
        assert server.get("/admin/")


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (("--speed", "0"), "--speed"),
        (("--speed", "fast"), "--speed"),
        (("--port", "65536"), "--port"),
        (("--port", "-1"), "--port"),
        (("--cash", "much"), "--cash"),
        (("--cash", "-1"), "--cash"),
        (("--cash", "nan"), "--cash"),
        (("--tls-cert", "cert.pem"), "--tls-key"),
        (("--tls-key", "key.pem"), "--tls-cert"),
        (("--instruments", "-1"), "--instruments"),
        (("--columns", ""), "--columns"),
        (("--access-token", ""), "--access-token"),
        (("--access-token", "  "), "--access-token"),
        (("--access-token", "a b"), "--access-token"),
        (("--access-token", "a\tb"), "--access-token"),
        (("--nothing",), "--nothing"),
    ],
)
def test_a_wrong_option_is_wrong_usage(words, said):
    done = CliRunner().invoke(app, ["exchange", *words])
    assert (done.exit_code, done.stdout) == (2, "")
    assert said in done.stderr


def test_wrong_usage_is_said_in_one_line(tmp_path):
    done = run(tmp_path, "exchange", "--speed", "fast")
    assert (done.code, done.stdout) == (2, "")
    assert done.line.endswith("'fast' is neither a number above 0 nor max; help: alphapanda exchange -h")


def test_files_without_a_header_row_are_listed(tmp_path):
    path = tmp_path / "WIPRO.csv"
    path.write_text("2021-04-06 09:15:05,400.05\n", encoding="utf-8")
    with exchange_server(tmp_path, "--data", path, "--columns", "timestamp, ltp") as server:
        (start,) = server.history("start")
        assert start["instruments"] == 1


def test_its_options_reach_the_exchange(tmp_path):
    words = ("--seed", 7, "--speed", 60, "--paused", "--no-rate-limits", "--instruments", 1500)
    with exchange_server(tmp_path, *words) as server:
        (start,) = server.history("start")
        assert (start["seed"], start["speed"], start["paused"]) == (7, 60.0, True)
        assert start["rate_limits"] is False
        assert start["instruments"] >= 1500
