"""run: the words of its command line, and what a strategy prints."""

import pytest
import typer
from running import run, strategy, write_config, write_ticks, zigzag

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


PRINTS = """
import os, subprocess, sys

from alphapanda.core.strategy import Strategy

print("at import")
KEPT = sys.stdout


class PrintsStrategy(Strategy):
    def on_market_data(self, tick):
        print("the price is", tick.last_price, "of", os.environ["ALPHAPANDA__ZERODHA__API_SECRET"])
        sys.stdout.buffer.write(b"some bytes\\n")
        try:
            sys.stdout.fileno()
        except OSError as error:
            print("no descriptor:", error)
        return []

    def on_stop(self):
        print("unfinished", end="")

    def __del__(self):
        print("a destructor", file=KEPT)
"""


def test_what_a_strategy_prints_is_in_the_log_in_whole_lines_without_secrets(tmp_path):
    secret = "CaNaRy7f3a"
    (tmp_path / "prints.py").write_text(PRINTS)
    write_config(
        tmp_path, strategies=[strategy("prints", **{"class": "prints:PrintsStrategy", "params": {}})]
    )
    write_ticks(tmp_path, zigzag(2))
    done = run(
        tmp_path,
        *("run", "--until-end", "--no-calendar"),
        env={"ALPHAPANDA__ZERODHA__API_SECRET": secret},
    )
    assert (done.code, done.stdout) == (0, ""), done
    said = [line.partition("INFO    trading      printed: ")[2] for line in done.stderr.splitlines()]
    each = ["some bytes", "no descriptor: fileno"]
    priced = [[f"the price is {price} of ***", *each] for price in (100.0, 102.0)]
    assert list(filter(None, said)) == ["at import", *priced[0], *priced[1], "unfinished"]
    for never in (secret, "Traceback", "Exception ignored"):
        assert never not in done.stderr
