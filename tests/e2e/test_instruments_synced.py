"""The day's instrument list as a user gets it from the exchange: login, sync, search; and lists that lie."""

import json
import shutil

import pytest
from exchange_server import exchange_server
from running import answer, daemon, eventually, run, select, strategy, write_config

DAY = "2026-04-15"


@pytest.fixture(scope="module")
def server(tmp_path_factory):
    with exchange_server(tmp_path_factory.mktemp("exchange")) as found:
        yield found


@pytest.fixture(scope="module")
def login(tmp_path_factory, server):
    """The file of a login."""
    folder = tmp_path_factory.mktemp("login")
    write_config(folder)
    assert run(folder, "login", "--rehearsal-url", server.url).code == 0
    return folder / "var" / "zerodha-rehearsal.token"


@pytest.fixture
def folder(tmp_path, server, login):
    """Where somebody has logged in."""
    write_config(tmp_path)
    (tmp_path / "var").mkdir()
    shutil.copy2(login, tmp_path / "var")
    server.admin("faults", {"clear": True})
    yield tmp_path
    server.admin("faults", {"clear": True})


def sync(folder, server, *words):
    return run(folder, "instruments", "sync", "--rehearsal-url", server.url, *words)


def raw(server, folder):
    """The list as the exchange gives it to who has logged in."""
    token = json.loads((folder / "var" / "zerodha-rehearsal.token").read_text())["access_token"]
    access = {"Authorization": f"token rehearsal:{token}"}
    connection = server.connection()
    try:
        connection.request("GET", "/instruments", headers=access)
        return connection.getresponse().read().decode()
    finally:
        connection.close()


def struck(server):
    """How often the only fault has fired."""
    (row,) = server.admin("faults")["faults"]
    assert row["do"] == "dump"
    return row["count"]


def strike(server, sort):
    server.admin("faults", {"clear": True, "fault": [{"on": "instruments", "do": "dump", "sort": sort}]})


def test_the_list_is_synced_and_searched(folder, server):
    done = sync(folder, server)
    assert (done.code, done.stderr) == (0, "")
    assert done.stdout == f"Instrument list of {DAY} of the rehearsal: 858 instruments.\n"
    listed = {line.split(",")[2]: line.split(",") for line in raw(server, folder).splitlines()[1:]}
    found = answer(folder, "instruments", "search", "reliance", "--type", "FUT", "--limit", "1")
    (row,) = found["instruments"]
    cells = listed[row["tradingsymbol"]]
    assert (row["instrument_token"], row["expiry"]) == (int(cells[0]), cells[5])
    assert (row["tick_size"], row["lot_size"], row["name"]) == (float(cells[7]), int(cells[8]), "RELIANCE")
    assert found["day"] == DAY
    table = run(folder, "instruments", "search", "nifty", "--exchange", "NFO").stdout.splitlines()
    assert table[0].startswith(f"Listed on {DAY} (rehearsal): the first 20 of ")
    assert table[1].split() == ["instrument", "name", "type", "expiry", "strike", "lot", "tick", "token"]
    assert len([line for line in table[3:] if line]) == 20
    assert max(map(len, table)) <= 100


def test_without_a_login_and_without_a_list_it_is_said_what_to_do(tmp_path, server):
    write_config(tmp_path)
    done = sync(tmp_path, server)
    assert done.code == 3
    assert done.line.endswith(f"run `alphapanda login --rehearsal-url {server.url}`")
    done = run(tmp_path, "instruments", "search", "infy")
    assert done.code == 1
    assert done.line.endswith("`alphapanda instruments sync` reads it")


def test_only_an_address_of_this_machine_is_rehearsed_at(tmp_path):
    write_config(tmp_path)
    done = run(tmp_path, "instruments", "sync", "--rehearsal-url", "http://127.0.0.1@example.com")
    assert done.code == 2
    assert "--rehearsal-url" in done.line


REFUSED = {
    "missing": "HTTP 404: The instrument list is not available.",
    "yesterday": f"the instrument list of {DAY} was not taken: it is of an earlier day: ",
    "truncated": f"the instrument list of {DAY} was not taken: its last line is cut off",
}


def test_M62_a_list_that_is_missing_of_yesterday_or_cut_off_leaves_the_old_one(folder, server):  # noqa: N802 - the fault's name
    strike(server, "missing")
    assert sync(folder, server).line.endswith("; there is none yet")
    server.admin("faults", {"clear": True})
    before = sync(folder, server, "--json").document
    kept = answer(folder, "instruments", "search", "", "--limit", "1000")
    for sort, said in REFUSED.items():
        strike(server, sort)
        done = sync(folder, server)
        assert done.code == 1
        assert said in done.line
        assert done.line.endswith(f"; that of {DAY} stays")
        assert struck(server) == 1
    assert answer(folder, "instruments", "search", "", "--limit", "1000") == kept
    assert kept["total"] == before["instruments"] == 858


def test_the_day_after_contracts_have_ended_there_is_a_list_without_them(tmp_path):
    """A rehearsal of several days: what expired on 16 April is no longer listed on the 17th."""
    write_config(tmp_path)
    with exchange_server(tmp_path, "--paused") as server:
        server.admin("clock", {"to": "2026-04-17 09:20:00"})
        assert run(tmp_path, "login", "--rehearsal-url", server.url).code == 0
        done = sync(tmp_path, server)
        assert (done.code, done.stderr) == (0, "")
        assert done.stdout.startswith("Instrument list of 2026-04-17 of the rehearsal: ")
    found = answer(tmp_path, "instruments", "search", "sensex", "--exchange", "BFO", "--limit", "1000")
    days = {row["expiry"] for row in found["instruments"]}
    assert min(days) == "2026-04-23"


def test_M62_on_a_list_of_yesterday_nothing_is_entered_until_there_is_one_of_today(  # noqa: N802 - the fault's name
    tmp_path,
):
    """The daemon starts on the list of the day before, and is given today's while it runs."""
    lively = {"lookback_period": 1, "buy_threshold": 1.00001, "sell_threshold": 0.99999, "quantity": 3}
    write_config(tmp_path, strategies=[strategy(params=lively)])

    def verdicts():
        return dict(select(tmp_path, "SELECT coalesce(rule, verdict), count(*) FROM signals GROUP BY 1"))

    with exchange_server(tmp_path, "--speed", "60") as server:
        login = ("login", "--rehearsal-url", server.url)
        assert run(tmp_path, *login).code == 0
        assert sync(tmp_path, server).code == 0
        server.admin("clock", {"to": "09:14:00"})
        server.admin("clock", {"to": "09:16:00"})
        assert run(tmp_path, *login).code == 0
        strike(server, "missing")
        with daemon(tmp_path, "--rehearsal-url", server.url) as trading:
            assert f"that of {DAY} stays" in trading.stderr
            assert struck(server) == 1
            eventually(lambda: verdicts().get("instrument_not_listed", 0) > 2)
            assert set(verdicts()) == {"instrument_not_listed"}
            assert server.history("order") == []
            server.admin("faults", {"clear": True})
            assert sync(tmp_path, server).stdout.startswith("Instrument list of 2026-04-16 of the rehearsal")
            eventually(lambda: verdicts().get("approved"))
            eventually(lambda: server.history("order"))
            (found,) = answer(tmp_path, "strategies", "list")
            assert found["state"] == "running"


def test_M62_symbols_that_share_a_token_are_on_no_list(folder, server):  # noqa: N802 - the fault's name
    rows = [line.split(",") for line in raw(server, folder).splitlines()[1:]]
    first, last = (f"{cells[-1]}:{cells[2]}" for cells in (rows[0], rows[-1]))
    strike(server, "reused")
    done = sync(folder, server)
    assert done.code == 0
    assert struck(server) == 1
    assert f"{first}: its token {rows[0][0]} is also another's" in done.stderr
    assert f"{last}: its token {rows[0][0]} is also another's" in done.stderr
    found = answer(folder, "instruments", "search", "", "--limit", "1000")
    assert found["total"] == 856
    names = {f"{row['exchange']}:{row['tradingsymbol']}" for row in found["instruments"]}
    assert not names & {first, last}
