"""Starts the witness of the wire (scripts/wire_witness.py) before an exchange; its lines are `Evidence.wire`.

    with witness(server.url, folder / "var/alphapanda.db", folder) as wire:
        ...  # run the daemon with wire.url in the place of server.url
        judge(Evidence(stores=[...], wire=wire.lines(), ...))

The login too goes by `wire.url` where the daemon is told `--rehearsal-url wire.url`: `told(folder, wire)` of
zerodha_live. The ticker may go through it as well (`wire.ws`), or straight to the exchange.
"""

import json
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from oracle.evidence import Row

PROGRAM = Path(__file__).resolve().parents[2] / "scripts" / "wire_witness.py"
ENDING_S = 20.0


class Witness:
    """One that runs. `url` is the REST root for the daemon, `ws` the ticker's; `path` its log."""

    def __init__(self, port: int, path: Path) -> None:
        self.url = f"http://127.0.0.1:{port}"
        self.ws = f"ws://127.0.0.1:{port}/ws"
        self.path = path

    def lines(self) -> list[Row]:
        """So far, in the order in which requests came; see scripts/wire_witness.py for the fields."""
        return lines_of(self.path)


def lines_of(path: Path) -> list[Row]:
    """The last line may be half written."""
    whole, _, _ = path.read_text(encoding="utf-8").rpartition("\n")
    return [json.loads(line) for line in whole.splitlines()]


@contextmanager
def witness(upstream: str, store: Path, folder: Path) -> Iterator[Witness]:
    """Forwards to `upstream` (http://127.0.0.1:PORT), looks into `store`, which need not be there yet, and
    logs to a file of its own in `folder`. Ended with the block.
    """
    path = folder / f"wire-{sum(1 for _ in folder.glob('wire-*.ndjson'))}.ndjson"
    process = subprocess.Popen(
        [sys.executable, PROGRAM, upstream, store, path],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        encoding="utf-8",
    )
    try:
        yield Witness(int(process.stdout.readline()), path)
    finally:
        process.stdin.close()  # it ends with whoever started it
        try:
            process.wait(ENDING_S)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait(ENDING_S)
        process.stdout.close()
