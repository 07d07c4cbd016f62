"""Progress for people: bars with rate and ETA on a terminal, plain lines elsewhere."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager

_QUIET_SECONDS = 5.0
_Advance = Callable[[int, int], None]


class Phase:
    """One stretch of work of known size."""

    def __init__(self, advance: _Advance) -> None:
        self._advance = advance

    def advance(self, weight: int, failed: int = 0) -> None:
        """Count `weight` more as done; `failed` is the total of failed rows so far."""
        self._advance(weight, failed)


class Progress:
    """Says nothing. Base of those that do."""

    @contextmanager
    def phase(self, name: str, total: int, unit: str) -> Iterator[Phase]:
        """Show a phase of `total` units of work."""
        yield Phase(lambda weight, failed: None)


class LineProgress(Progress):
    """A line every few seconds: for logs and pipes."""

    def __init__(self, write: Callable[[str], None]) -> None:
        self._write = write

    @contextmanager
    def phase(self, name: str, total: int, unit: str) -> Iterator[Phase]:
        """Lines with count, rate and time to go."""
        started, shown, done, bad = time.monotonic(), time.monotonic(), 0, 0

        def advance(weight: int, failed: int) -> None:
            nonlocal shown, done, bad
            done, bad = done + weight, failed
            if time.monotonic() - shown >= _QUIET_SECONDS:
                shown = time.monotonic()
                self._write(line())

        def line() -> str:
            seconds = max(time.monotonic() - started, 1e-9)
            rate = done / seconds
            left = f", {(total - done) / rate:.0f} s to go" if rate and done < total else ""
            failures = f", {bad} failed" if bad else ""
            return f"{name}: {done:,} of {total:,} {unit}, {rate:,.0f}/s{left}{failures}"

        yield Phase(advance)
        if total:
            self._write(line())


class BarProgress(Progress):
    """Rich bars, for terminals."""

    @contextmanager
    def phase(self, name: str, total: int, unit: str) -> Iterator[Phase]:
        """A bar with count, rate, time to go, and failures once there are any."""
        if not total:
            yield Phase(lambda weight, failed: None)
            return
        from rich.console import Console
        from rich.progress import (
            BarColumn,
            MofNCompleteColumn,
            TaskProgressColumn,
            TextColumn,
            TimeRemainingColumn,
        )
        from rich.progress import Progress as RichProgress

        count = TextColumn("{task.fields[mb]}") if unit == "bytes" else MofNCompleteColumn()
        columns = (
            TextColumn("{task.description:<10}"),
            BarColumn(),
            TaskProgressColumn(show_speed=True),
            count,
            TextColumn("{task.fields[rate]}"),
            TimeRemainingColumn(compact=True),
            TextColumn("[red]{task.fields[failed]}"),
        )
        started, done = time.monotonic(), 0
        with RichProgress(*columns, console=Console(stderr=True)) as bars:
            bar = bars.add_task(name, total=total, rate="", failed="", mb="")

            def advance(weight: int, failed: int) -> None:
                nonlocal done
                done += weight
                rate = done / max(time.monotonic() - started, 1e-9)
                shown = f"{rate / 1e6:,.1f} MB/s" if unit == "bytes" else f"{rate:,.0f} {unit}/s"
                bars.update(
                    bar,
                    advance=weight,
                    rate=shown,
                    failed=f"{failed} failed" if failed else "",
                    mb=f"{done / 1e6:,.1f}/{total / 1e6:,.1f} MB",
                )

            yield Phase(advance)
