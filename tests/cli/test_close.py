"""What `close` and `close-all` tell a script: when something may still be open, not 0."""

import pytest
import typer
from running import run

from alphapanda.cli.close import _leave

APPROVED = {"verdict": "approved"}
USAGE, NOT_DONE = 2, 1


@pytest.mark.parametrize("status", ["PREPARED", "SENT", "OPEN", "PARTIAL", "UNKNOWN", "FILLED"])
def test_an_approved_close_that_may_fill_or_has_is_done(status, capsys):
    _leave({"cancelled": [], "closing": [APPROVED | {"status": status}]})
    assert capsys.readouterr().err == ""


@pytest.mark.parametrize("status", ["CANCELLED", "REJECTED", "NOT_FOUND", "WITHHELD"])
def test_an_approved_close_that_has_ended_unfilled_is_not_done(status, capsys):
    with pytest.raises(typer.Exit) as left:
        _leave({"cancelled": [], "closing": [APPROVED | {"status": status}]})
    assert left.value.exit_code == NOT_DONE
    assert "that position stays open" in capsys.readouterr().err


@pytest.mark.parametrize("symbol", ["", " "])
def test_an_empty_symbol_is_a_mistake_and_not_every_symbol(tmp_path, symbol):
    done = run(tmp_path, "close", symbol, "--yes")
    assert done.code == USAGE
    assert "close-all" in done.stderr
