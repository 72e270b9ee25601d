"""Where Kite is: what is no address, or not encrypted, is refused before anything connects."""

import pytest

from alphapanda.errors import CannotStart
from alphapanda.venues.zerodha.roots import API, Roots, roots_at, roots_of


@pytest.mark.parametrize("host", ["127.0.0.1:99999", "127.0.0.1:0", "[::1", ":8686", ""])
def test_what_is_no_address_is_said_in_one_line(host):
    with pytest.raises(CannotStart, match=r"zerodha\.api_root: https://.* is no address"):
        Roots(api=f"https://{host}")


def test_what_is_left_empty_is_kites_own_and_no_rehearsal():
    assert roots_of("", "", "") == Roots()
    assert roots_of().api == API
    assert not roots_of().rehearsal


@pytest.mark.parametrize("url", ["http://127.0.0.1:8686", "http://[::1]:8686/", "https://localhost:8686"])
def test_an_exchange_on_this_machine_is_a_rehearsal(url):
    roots = roots_at(url)
    assert roots.rehearsal
    assert roots.ticker == url.rstrip("/").replace("http", "ws", 1) + "/ws"


@pytest.mark.parametrize("host", ["localhost.example.com", "127.0.0.1@example.com", "api.kite.trade"])
def test_nobody_else_does_without_encryption(host):
    with pytest.raises(CannotStart, match="is not encrypted"):
        Roots(api=f"http://{host}")
