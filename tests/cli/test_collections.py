"""run: the garbage collector while a daemon starts, and while it trades."""

import gc

from running import run, write_config, write_ticks, zigzag

SEES = """
import gc

from alphapanda.core.strategy import Strategy


class SeesStrategy(Strategy):
    def on_start(self, positions, orders):
        print("starting", gc.get_threshold()[0])

    def on_market_data(self, tick):
        print("trading", gc.get_threshold()[0])
        return []
"""


def test_collections_are_rare_until_it_is_ready_and_as_usual_from_then_on(tmp_path):
    (tmp_path / "sees.py").write_text(SEES)
    sees = {"id": "sees", "class": "sees:SeesStrategy", "instruments": ["NSE:INFY"]}
    write_config(tmp_path, strategies=[sees])
    write_ticks(tmp_path, zigzag(1))
    done = run(tmp_path, "run", "--until-end", "--no-calendar")
    assert done.code == 0, done
    lines = (line.split() for line in done.stderr.splitlines())
    seen = {words[0]: int(words[1]) for words in lines if words[0] in ("starting", "trading")}
    assert seen["trading"] == gc.get_threshold()[0]
    assert seen["starting"] > 10 * seen["trading"]
