"""Each kind of fault, seen by the official client or on a socket, and counted in the exchange's history."""

from collections import Counter

import pytest
from faults_seen_on_the_ticker import (
    SEEN,
    a_dead_session_closes_its_socket,
    a_dead_session_leaves_its_socket_silent,
)
from kite_trader import PATIENCE_S, trading

from alphapanda.exchange.faults.kinds import KINDS


@pytest.fixture(scope="module")
def trader(tmp_path_factory):
    """Alone on an exchange: its faults would strike others too."""
    with trading(tmp_path_factory.mktemp("faults"), "--cash", 100_000_000) as one:
        yield one


def test_every_kind_of_fault_has_an_observation():
    assert set(SEEN) == set(KINDS)


@pytest.mark.parametrize("do", KINDS)
def test_a_client_sees_the_fault_and_the_history_counts_it(trader, do):
    trader.admin("faults", {"clear": True})
    before = len(trader.history())
    SEEN[do](trader)
    lines = trader.history("fault", after=before)
    fired = Counter(line["fault"] for line in lines)
    assert {line["do"] for line in lines} == {do}
    for fault, times in fired.items():
        assert [line["count"] for line in lines if line["fault"] == fault] == list(range(1, times + 1))
    for row in trader.admin("faults")["faults"]:
        assert row["count"] == fired[row["fault"]]


def test_a_fault_that_never_fires_is_seen_in_the_list_with_nought(trader):
    trader.admin("faults", {"clear": True, "fault": [{"on": "gtt.place", "do": "down"}]})
    trader.kite.orders()
    (row,) = trader.admin("faults")["faults"]
    assert (row["do"], row["matched"], row["count"], row["over"]) == ("down", 0, 0, False)
    assert trader.admin("faults", {"clear": True}) == {"cleared": 1, "added": []}


def test_faults_meet_at_one_call_and_each_is_counted(trader):
    tables = [
        {"on": "orders", "do": "status", "code": 520, "message": "Web server is returning an unknown error"},
        {"on": "orders", "do": "no_content_type"},
        {"on": "any", "do": "delay_after", "seconds": 0.01},
    ]
    trader.admin("faults", {"clear": True, "fault": tables})
    with pytest.raises(KeyError):
        trader.kite.orders()
    assert trader.reply.status_code == 520
    assert [row["count"] for row in trader.admin("faults")["faults"]] == [1, 1, 1]


def test_a_script_with_a_mistake_changes_nothing(trader):
    trader.admin("faults", {"clear": True, "fault": [{"on": "gtt.get", "do": "down"}]})
    script = "clear = true\n[[fault]]\non = 'orders'\ndo = 'down'\n[[fault]]\non = 'orders'\ndo = 'explode'\n"
    reply = trader.owner.post(f"{trader.url}/admin/faults", data=script, timeout=PATIENCE_S)
    assert reply.status_code == 400
    assert reply.json()["error"].startswith("the script: fault 2: do = 'explode'; allowed: delay_before, ")
    (row,) = trader.admin("faults")["faults"]
    assert row["on"] == "gtt.get"
    reply = trader.owner.post(
        f"{trader.url}/admin/faults", data=script.replace("explode", "html"), timeout=PATIENCE_S
    )
    assert [row["do"] for row in reply.json()["added"]] == ["down", "html"]


@pytest.mark.parametrize("sees", [a_dead_session_closes_its_socket, a_dead_session_leaves_its_socket_silent])
def test_a_dead_session_does_to_its_sockets_what_the_script_says(trader, sees):
    before = len(trader.history())
    sees(trader)
    assert [line["do"] for line in trader.history("fault", after=before)] == ["token_death"]
