"""Runs of windows that follow each other, drawn at random from recordings.

A recording can only be read from its beginning, and may last hours. So it is read once to count its
windows. Each later pass over all recordings collects a few dozen runs, and only these are kept in
memory.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from itertools import count, islice
from pathlib import Path

import numpy as np
from tqdm import tqdm

from evlayerseg_ros.errors import InputError
from evlayerseg_ros.events.types import Window
from evlayerseg_ros.pipeline import PipelineConfig, windows_of
from evlayerseg_ros.recordings.kinds import recordings_in
from evlayerseg_ros.recordings.readers import open_recording

RUN = 12  # windows that follow each other: 0.4 s
SHORTEST = 4  # windows that a recording must have
EVENTS = 60_000  # at most so many events of a window are kept
IN_MEMORY = 12_000_000  # and so many of a pass, 160 MB
MOST_RUNS = 64  # of a pass
PARTS = 3  # places at which a recording is judged
FRESH = 5.0  # s: a file that was changed so shortly before may still be growing
Tell = Callable[[str], object]


@dataclass(frozen=True)
class Source:
    """A recording, or a part of it, that windows are drawn from.

    Attributes:
        path: of the recording.
        first, last: numbers of its first window and of the one after its last.
        events: mean number of events of a window.
        seconds: length of the whole recording.
    """

    path: Path
    first: int
    last: int
    events: float
    seconds: float

    def __len__(self) -> int:
        return self.last - self.first


def find_recordings(paths: Sequence[Path]) -> list[Path]:
    """The recordings at some paths; folders are searched to any depth.

    Raises:
        InputError: a path does not exist, or a folder holds no recording.
    """
    found: list[Path] = []
    for path in paths:
        if not path.exists():
            raise InputError(f"There is no recording at {path}.")
        found += recordings_in(path, deep=True)
    return list(dict.fromkeys(found))


def windows_in(path: Path, first: int = 0, last: int | None = None) -> Iterator[Window]:
    """The node's windows of a recording, from number `first` up to before `last`.

    Raises:
        InputError: the recording cannot be read, or not to its end.
    """
    stream = PipelineConfig().stream()
    with open_recording(path) as recording:
        windows = (window for window, _ in windows_of(recording, stream))
        yield from islice(windows, first, last)
    if not stream.stats.windows and stream.stats.last_error:
        raise InputError(stream.stats.last_error)


def index(paths: Sequence[Path], tell: Tell) -> list[Source]:
    """Reads whole recordings and counts their windows.

    Args:
        paths: recordings.
        tell: called with a sentence on each recording that is left out or breaks off.

    Returns:
        Those that can be learnt from; one that breaks off up to there.

    Raises:
        InputError: there is none.
    """
    stamps = {path: _stamp(path) for path in paths}
    sources = []
    for path in tqdm(paths, desc="reading", unit="recording", disable=None):
        if source := _count(path, tell):
            sources.append(source)
    if any(time.time() - newest < FRESH for _, newest in stamps.values()):
        time.sleep(1)
    for source in list(sources):
        if _stamp(source.path) != stamps[source.path]:
            tell(f"{source.path} is still being written: left out.")
            sources.remove(source)
    if not sources:
        raise InputError("There is no recording to learn from: none of those given can be used.")
    return sources


def _stamp(path: Path) -> tuple[int, float]:
    """Bytes and time of the last change of a file, or of all files of a folder."""
    files = [path] if path.is_file() else [p for p in path.rglob("*") if p.is_file()]
    stats = [file.stat() for file in files]
    return sum(s.st_size for s in stats), max((s.st_mtime for s in stats), default=0.0)


def _count(path: Path, tell: Tell) -> Source | None:
    """A recording with the number of its windows; None if it is of no use, which is told."""
    windows = events = 0
    begin = end = 0
    fault = ""
    try:
        for window in windows_in(path):
            begin = begin if windows else window.start
            end = window.end
            windows += 1
            events += len(window.events)
    except (InputError, OSError) as error:
        fault = str(error)
    seconds = (end - begin) * 1e-9
    if windows < SHORTEST:
        fault = fault or f"{path} is too short: {windows} windows of 33 ms"
        tell(f"{fault.rstrip('.')}: left out.")
        return None
    if fault:
        tell(f"{fault.rstrip('.')}: what comes before that, {seconds:.1f} s, is used.")
    return Source(path, 0, windows, events / windows, seconds)


def split(sources: Sequence[Source], share: float) -> tuple[list[Source], list[Source]]:
    """Recordings without their last `share`, and these shares; a short recording stays whole."""
    learn, held = [], []
    for source in sources:
        cut = source.first + max(SHORTEST, round(len(source) * (1 - share)))
        if source.last - cut < SHORTEST:
            learn.append(source)
            continue
        learn.append(replace(source, last=cut))
        held.append(replace(source, first=cut))
    return learn, held


def parts_of(source: Source, windows: int) -> Iterator[list[Window]]:
    """Up to `windows` windows of a recording, in runs from PARTS places at equal distances."""
    parts, each = PARTS, max(SHORTEST, windows // PARTS)
    if len(source) <= windows:
        parts, each = 1, len(source)
    firsts = [source.first + k * (len(source) - each) // max(1, parts - 1) for k in range(parts)]
    yield from _collect(source, [(first, each) for first in firsts])


def _collect(source: Source, wanted: Sequence[tuple[int, int]]) -> Iterator[list[Window]]:
    """Runs, collected in one pass.

    Args:
        source: the recording.
        wanted: of each run the number of its first window, and how many; rising, not overlapping.
    """
    numbers = [n for first, many in wanted for n in range(first, first + many)]
    begin = numbers[0]
    windows = zip(count(begin), windows_in(source.path, begin, numbers[-1] + 1))
    keep = set(numbers)
    kept = (_small(window) for number, window in windows if number in keep)
    for _, many in wanted:
        yield list(islice(kept, many))


def _small(window: Window) -> Window:
    """The window with at most EVENTS events, copied: a slice would keep whole chunks in memory."""
    every = max(1, -(-len(window.events) // EVENTS))
    return replace(window, events=window.events[np.arange(0, len(window.events), every)])


class Runs:
    """Runs of windows drawn from recordings, the same for the same seed.

    All windows of all recordings are equally likely.

    Args:
        sources: what to draw from.
        seed: of everything random.
    """

    def __init__(self, sources: Sequence[Source], seed: int = 0) -> None:
        self.sources, self.seed = list(sources), seed
        total = sum(max(1, len(source) // RUN) for source in sources)
        mean = sum(s.events * len(s) for s in sources) / sum(len(s) for s in sources)
        room = int(IN_MEMORY / (RUN * min(max(mean, 1), EVENTS)))
        self.a_pass = min(total, MOST_RUNS, max(4, room))

    def drawn(self, lane: int, start: int = 0, tell: Tell = print) -> Iterator[list[Window]]:
        """Endless runs; one that cannot be read is empty.

        Args:
            lane: number of the stream, which is independent of others.
            start: how many runs to leave out.
            tell: called with a sentence on each recording that cannot be read.

        Raises:
            InputError: nothing can be read any more.
        """
        for number in count(start // self.a_pass):
            runs = self._pass(np.random.default_rng([self.seed, lane, 2, number]), tell)
            if not any(runs):
                raise InputError("None of the recordings can be read any more.")
            yield from runs[max(0, start - number * self.a_pass) :]

    def _pass(self, rng: np.random.Generator, tell: Tell) -> list[list[Window]]:
        """`a_pass` runs in random order."""
        places = [(k, first) for k, s in enumerate(self.sources) for first in _grid(s, rng)]
        drawn = [places[i] for i in rng.permutation(len(places))[: self.a_pass]]
        runs: dict[tuple[int, int], list[Window]] = {}
        for k, source in enumerate(self.sources):
            firsts = sorted(first for mine, first in drawn if mine == k)
            wanted = [(first, min(RUN, len(source))) for first in firsts]
            try:
                if wanted:
                    found = _collect(source, wanted)
                    runs |= {(k, first): run for first, run in zip(firsts, found)}
            except (InputError, OSError) as error:
                tell(f"{error} It is left out from here on.")
        return [runs.get(place, []) for place in drawn]


def _grid(source: Source, rng: np.random.Generator) -> list[int]:
    """First windows of the runs that a recording is cut into, from a random window on."""
    many = max(1, len(source) // RUN)
    spare = max(0, len(source) - many * RUN)
    begin = source.first + int(rng.integers(0, spare + 1))
    return [begin + k * RUN for k in range(many)]
