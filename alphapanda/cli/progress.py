"""A progress bar on a terminal's stderr, nothing elsewhere; log lines are written above it."""

import sys
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any


class Bar:
    """`show` moves it, `write` puts a line above it."""

    def __init__(self, progress: Any = None, task: Any = None) -> None:
        self._progress = progress
        self._task = task

    def show(self, fraction: float, row: int, time_ns: int) -> None:
        if self._progress is None:
            return
        from alphapanda.times import to_ist

        moment = to_ist(time_ns).strftime("%Y-%m-%d %H:%M:%S") if time_ns else ""
        self._progress.update(self._task, completed=fraction, rows=f"{row:,} rows", moment=moment)

    def write(self, line: str) -> None:
        if self._progress is None:
            from alphapanda.live.log_writer import to_stderr

            to_stderr(line)
        else:
            self._progress.console.print(line, end="", markup=False, highlight=False, soft_wrap=True)


@contextmanager
def progress_bar(what: str) -> Iterator[Bar]:
    if not sys.stderr.isatty():
        yield Bar()
        return
    from rich.console import Console
    from rich.progress import BarColumn, Progress, TextColumn, TimeElapsedColumn

    progress = Progress(
        TextColumn("{task.description}"),
        BarColumn(),
        TextColumn("{task.percentage:>3.0f} %"),
        TextColumn("{task.fields[rows]}"),
        TextColumn("{task.fields[moment]}"),
        TimeElapsedColumn(),
        console=Console(stderr=True),
    )
    with progress:
        yield Bar(progress, progress.add_task(what, total=1.0, rows="", moment=""))
        from alphapanda.live.logs import flush

        flush()  # the last lines stand above the bar too
