"""One exchange for the tests that leave it as they found it: its clock stands, and it counts no calls."""

import pytest
from exchange_server import exchange_server


@pytest.fixture(scope="session")
def standing(tmp_path_factory):
    words = ("--paused", "--no-rate-limits", "--access-token", "today")
    with exchange_server(tmp_path_factory.mktemp("standing"), *words) as server:
        yield server
