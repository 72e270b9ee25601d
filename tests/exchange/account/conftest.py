"""A contract of the market's own list."""

import pytest
from account_days import CARRIED, MARKET


@pytest.fixture(scope="session")
def derivative():
    """A future whose quantities are units."""
    return MARKET.listing.by_key(CARRIED)
