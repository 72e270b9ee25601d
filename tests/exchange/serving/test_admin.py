"""The admin door."""

import json
import urllib.error
from contextlib import closing
from datetime import datetime

import pytest
from exchange_server import exchange_server
from running import eventually

ORDER = {
    "exchange": "NSE",
    "tradingsymbol": "INFY",
    "transaction_type": "BUY",
    "quantity": 2,
    "product": "CNC",
    "order_type": "MARKET",
    "market_protection": -1,
}


WORDS = ("--paused", "--access-token", "today")


@pytest.fixture(scope="module")
def server(tmp_path_factory):
    """Its clock stands, and nobody moves it far."""
    with exchange_server(tmp_path_factory.mktemp("admin"), *WORDS) as one:
        yield one


@pytest.fixture
def fresh(tmp_path):
    with exchange_server(tmp_path, *WORDS) as one:
        yield one


def posted(server, path, body, content_type="application/json"):
    """Status and decoded body."""
    with closing(server.connection()) as connection:
        connection.request("POST", f"/admin/{path}", body, {"Content-Type": content_type})
        reply = connection.getresponse()
        return reply.status, json.loads(reply.read())


def test_it_says_what_there_is(server):
    doors = server.admin("")
    assert {"GET /admin/history", "POST /admin/faults", "POST /admin/orders", "POST /admin/clock"} <= set(
        doors
    )
    assert json.loads(server.get("/admin")) == doors


def test_the_history_is_read_from_where_one_has_come_to(server):
    lines = server.history()
    assert [line["seq"] for line in lines] == list(range(1, len(lines) + 1))
    assert (lines[0]["kind"], lines[0]["seed"], lines[0]["paused"]) == ("start", 1, True)
    before = lines[-1]["seq"]
    with closing(server.connection()) as connection:
        connection.request("GET", "/nowhere")
        connection.getresponse().read()
    new = server.history(after=before)
    assert [line["kind"] for line in new] == ["request", "reply"]
    assert server.history("reply", after=before) == new[1:]
    assert server.history("request", "reply", after=before) == new
    assert server.history(after=new[-1]["seq"]) == []


def test_a_paused_clock_stands_and_steps(fresh):
    clock = fresh.admin("clock")
    assert clock.pop("exchange")
    assert clock == {"now": "2026-04-15T09:15:00+05:30", "speed": 1.0, "paused": True}
    assert fresh.admin("clock", {"step": 0.5})["now"] == "2026-04-15T09:15:00.500000+05:30"
    assert fresh.admin("clock", {"to": "09:20:00"})["now"] == "2026-04-15T09:20:00+05:30"
    assert fresh.admin("clock", {"to": "2026-04-15 09:21:00"})["now"] == "2026-04-15T09:21:00+05:30"
    assert fresh.admin("clock")["paused"]
    assert [line["do"] for line in fresh.history("clock")] == ["step", "to", "to"]


def test_an_exchange_is_the_same_one_for_its_life_and_another_after_a_new_start(server, fresh):
    """Its order ids begin anew with it, so that nobody may take the next one for it."""
    first, other = server.admin("clock")["exchange"], fresh.admin("clock")["exchange"]
    assert first == server.admin("clock")["exchange"]
    assert first != other
    assert all(len(number) == 8 for number in (first, other))
    assert not any(number in line for number in (first, other) for line in map(str, fresh.history()))


def test_a_time_of_day_that_is_past_is_tomorrows(fresh):
    fresh.admin("clock", {"to": "23:56:00"})
    assert fresh.admin("clock", {"to": "23:56:00"})["now"] == "2026-04-15T23:56:00+05:30"
    assert fresh.admin("clock", {"to": "06:00:01"})["now"] == "2026-04-16T06:00:01+05:30"


def test_a_fault_without_a_time_happens_when_it_is_posted(fresh):
    status, added = posted(fresh, "faults", '[[fault]]\ndo = "token_death"', "text/plain")
    assert (status, added["added"][0]["count"]) == (200, 1)
    assert fresh.history("session")[-1]["do"] == "death"
    assert fresh.history("fault")[-1]["do"] == "token_death"


@pytest.mark.parametrize(
    ("door", "said"),
    [
        ("history?kind=nope", "there is no kind 'nope'; there are clock, day, end, failure, fault, "),
        ("history?kind=order,nope", "there is no kind 'nope'"),
        ("history?afer=3", "/admin/history knows no 'afer'; it takes after and kind"),
        ("faults?kind=order", "/admin/faults knows no 'kind'; it takes no query"),
    ],
)
def test_a_query_that_means_nothing_is_a_mistake(server, door, said):
    with pytest.raises(urllib.error.HTTPError) as caught:
        server.get(f"/admin/{door}")
    with caught.value as reply:
        assert reply.code == 400
        assert said in json.loads(reply.read())["error"]


def test_the_owner_trades_by_hand(server):
    placed = server.admin("orders", ORDER)
    server.admin("clock", {"step": 2})
    rows = [line for line in server.history("order") if line["order_id"] == placed["order_id"]]
    assert {row["by"] for row in rows} == {"owner"}
    assert rows[-1]["status"] == "COMPLETE"
    assert rows[-1]["filled_quantity"] == 2


def test_the_owners_order_may_be_a_form_and_is_refused_in_kites_words(server):
    form = "application/x-www-form-urlencoded"
    words = "&".join(f"{name}={value}" for name, value in ORDER.items())
    status, placed = posted(server, "orders", words, form)
    assert (status, list(placed)) == (200, ["order_id"])
    status, said = posted(
        server, "orders", words.replace("market_protection=-1", "market_protection=0"), form
    )
    assert (status, said["error_type"]) == (400, "InputException")
    assert "market protection" in said["error"]
    refused = server.history("order_refused")[-1]
    assert (refused["by"], refused["message"]) == ("owner", said["error"])


def test_faults_are_added_as_toml_or_json_and_counted(server):
    status, added = posted(server, "faults", '[[fault]]\non = "profile"\ndo = "down"\nnth = 1', "text/plain")
    assert status == 200
    assert len(added["added"]) == 1
    status, added = posted(server, "faults", json.dumps({"fault": [{"on": "orders", "do": "empty"}]}))
    assert (status, len(added["added"])) == (200, 1)
    assert len(server.admin("faults")["faults"]) == 2
    with pytest.raises(urllib.error.HTTPError) as caught:
        server.get("/user/profile")
    with caught.value as reply:
        assert reply.code == 503
    assert server.history("fault")[-1]["do"] == "down"
    assert posted(server, "faults", '{"clear": true}')[1]["cleared"] == 2
    assert server.admin("faults")["faults"] == []
    came = server.history("faults")
    assert [(line["added"], line["cleared"]) for line in came[-3:]] == [([1], 0), ([2], 0), ([], 2)]


def state(server):
    """The clock, the faults, and how much has been done; that an order was refused is done to nothing."""
    done = [line for line in server.history() if line["kind"] != "order_refused"]
    return server.admin("clock"), server.admin("faults"), len(done)


@pytest.mark.parametrize(
    ("path", "body"),
    [
        ("clock", ""),
        ("clock", "[]"),
        ("clock", "{}"),
        ("clock", '{"pause": true, "step": 1}'),
        ("clock", '{"pause": 1}'),
        ("clock", '{"run": true}'),
        ("clock", '{"step": 0}'),
        ("clock", '{"step": "1"}'),
        ("clock", '{"step": true}'),
        ("clock", '{"step": 1e9}'),
        ("clock", '{"speed": 0}'),
        ("clock", '{"speed": "fast"}'),
        ("clock", '{"speed": 1e300}'),
        ("clock", '{"speed": 1e-320}'),
        pytest.param("clock", f'{{"speed": 1{"0" * 400}}}', id="clock-speed-of-400-digits"),
        ("clock", '{"speed": true}'),
        ("clock", '{"to": "2026-04-15 09:00:00"}'),
        ("clock", '{"to": "noon"}'),
        ("clock", '{"to": 15}'),
        ("clock", '{"to": "2027-01-01 09:00:00"}'),
        ("clock", '{"to": "25:00"}'),
        ("faults", "[[fault"),
        ("faults", '{"fault": [{"do": "fly"}]}'),
        ("faults", b"\xff"),
        ("orders", "7"),
        ("orders", '{"exchange": ["NSE"]}'),
        ("orders", '{"exchange": "NSE", "quantity": true}'),
        ("orders", '{"exchange": "NSE", "tradingsymbol": "INFY"}'),
        ("orders", "{}"),
        ("faults", "x" * 70_000),
    ],
)
def test_a_mistake_is_a_400_with_one_line_and_changes_nothing(server, path, body):
    before = state(server)
    status, said = posted(server, path, body)
    assert status == 400
    assert said["error"]
    assert "\n" not in said["error"]
    assert before == state(server)


@pytest.mark.parametrize("query", ["after=x", "after=-1", "after=", "after=" + "9" * 5000])
def test_a_line_number_is_a_number(server, query):
    with pytest.raises(urllib.error.HTTPError) as caught:
        server.get(f"/admin/history?{query}")
    with caught.value as reply:
        assert reply.code == 400


def test_what_there_is_not_is_a_404_that_says_where_to_look(server):
    status, said = posted(server, "orders/1", "{}")
    assert status == 404
    assert "GET /admin/" in said["error"]


def now_of(server):
    return datetime.fromisoformat(server.admin("clock")["now"])


def test_a_clock_that_goes_on_runs_at_its_speed_and_can_be_held(fresh):
    before = now_of(fresh)
    assert fresh.admin("clock", {"speed": 1000}) | {"now": 0} == {"now": 0, "speed": 1000.0, "paused": True}
    assert now_of(fresh) == before
    assert not fresh.admin("clock", {"resume": True})["paused"]
    eventually(lambda: (now_of(fresh) - before).total_seconds() > 60, process=fresh.process)
    fresh.admin("clock", {"speed": 1})
    stepped = datetime.fromisoformat(fresh.admin("clock", {"step": 3600})["now"])
    eventually(lambda: now_of(fresh) > stepped, process=fresh.process)
    held = fresh.admin("clock", {"pause": True})
    assert held["paused"]
    assert fresh.admin("clock")["now"] == held["now"]


def test_a_step_over_the_night_ends_the_session_and_the_day(fresh):
    fresh.admin("clock", {"to": "2026-04-16 06:00:00"})
    assert fresh.history("day")
    assert fresh.history("session")[-1]["do"] == "death"
    with pytest.raises(urllib.error.HTTPError) as caught:
        fresh.get("/user/profile")
    with caught.value as reply:
        assert reply.code == 403
