"""One exchange for all tests of the official client that do not need one of their own."""

import pytest


@pytest.fixture(scope="session")
def trader(tmp_path_factory):
    """Its funds are ample. Tests look at their own orders only: others have traded here before them."""
    from kite_trader import trading  # noqa: PLC0415 - the official client is slow to import

    with trading(tmp_path_factory.mktemp("exchange"), "--cash", 100_000_000) as one:
        yield one
