"""run: the words of its command line."""

import pytest
import typer

from alphapanda.cli.run import pace_of, speed_of
from alphapanda.config.settings import Feed, Replay, Simulated

SPEEDS = {"simulated": Simulated(speed=7.0), "replay": Replay(speed=9.0)}


@pytest.mark.parametrize(("source", "speed"), [("simulated", 7.0), ("replay", 9.0)])
def test_the_speed_is_that_of_the_source_unless_another_is_wanted(source, speed):
    feed = Feed(source=source, **SPEEDS)
    assert pace_of(feed) == speed
    assert pace_of(feed, 60.0) == 60.0
    assert pace_of(feed, "max") is None


def test_the_clock_is_that_of_the_market_for_a_simulated_session_and_none_for_files_by_default():
    assert pace_of(Feed()) == 1.0
    assert pace_of(Feed(source="replay")) is None


def test_a_speed_is_a_number_above_0_or_max():
    assert speed_of("max") is None
    assert speed_of("0.5") == 0.5
    for wrong in ("0", "-1", "inf", "nan", "fast", ""):
        with pytest.raises(typer.BadParameter, match="neither a number above 0 nor max"):
            speed_of(wrong)
