"""Text with an event a line."""

from __future__ import annotations

import os
from collections.abc import Iterator
from itertools import islice
from pathlib import Path

import numpy as np

from evlayerseg_ros.errors import InputError
from evlayerseg_ros.recordings import columns, sensors
from evlayerseg_ros.recordings.beside import unit_told
from evlayerseg_ros.recordings.lines import (
    COMMENT,
    event_in,
    events_in,
    is_comment,
    names_in,
    numbers_in,
    order_of,
    padded,
    plain_of,
    text_of,
    unpadded_in,
    words_in,
)
from evlayerseg_ros.recordings.readers import CHUNK, Columns, Table
from evlayerseg_ros.recordings.rows import told_of
from evlayerseg_ros.recordings.units import is_part, to_ns

# Size and unit are told by so many stretches of so many bytes.
_STRETCHES, _BYTES = 16, 1 << 18
_BOM = b"\xef\xbb\xbf"  # some editors write it first
_EXPECTED = "expected t x y p, or a first line that names the columns"


class TextRecording(Table):
    """Lines `t x y p` with t in s; or in another order, which a first line of names says.

    A first line of two numbers is the size, as in E2VID's files; without one a size is assumed.
    Comments before the events may hold names or a size, too, which are used if they fit the events.
    Times in ms, us or ns are recognised. What is assumed is noted.
    """

    kind = "text with lines `t x y p`"

    def __init__(self, path: Path, size: tuple[int, int] | None = None) -> None:
        super().__init__(path, size)
        self._names: list[str] = []  # of the columns
        self._commented = False  # whether a comment gave them
        self._order: str | None = None  # of the columns, as in "txyp"
        self._said = ""  # the times' unit by their column's name
        self._rest = ""  # the unit of a second column, added to one of seconds; "" if there is none
        self._prose = ""  # the first line that is neither names, size, comment nor event
        self._head: tuple[int, int] | None = None  # a first line of two numbers
        self._sizes: list[tuple[int, int]] = []  # comments of two numbers
        self._comments = ""
        self._unpadded: int | None = None  # the column of lines.unpadded_in
        self._zeros = False  # whether zero bytes were met, which no text has
        try:
            self._read_head()
            self._look()
        except Exception as error:
            raise self._as_input_error(error) from error

    def _read_head(self) -> None:
        """The lines before the first event: a size, names of columns, comments."""
        with self.path.open("rb") as file:
            self._start = file.seek(len(_BOM) if file.read(len(_BOM)) == _BOM else 0)
            prose: int | None = None  # where the first line begins that is none of these
            named: list[list[str]] = []  # from comments, too
            in_comments: list[list[str]] = []
            for line in iter(file.readline, b""):
                plain = line.lstrip(b"#%/ \t")  # numpy.savetxt's header is a comment
                comment = is_comment(line)
                words = words_in(COMMENT.split(plain)[0])
                self._comments += text_of(plain) if comment else ""
                if len(words) == 2 and all(word.isdigit() for word in words):
                    size = int(words[0]), int(words[1])
                    if comment:
                        self._sizes.append(size)
                    else:
                        self._head = size
                elif not comment and (said := sensors.in_words(text_of(line))):
                    self._sizes.append(said)
                elif found := names_in(text_of(plain)):
                    named.append(found)
                    in_comments += [found] * comment
                elif not comment and words != [""]:
                    if line.startswith(b'"1"'):  # R counts the rows, without a name
                        named += [["", *names] for names in named]
                    fits = [names for names in named if event_in(line, order_of(names)[0])]
                    if fits or numbers_in(line) is not None:
                        self._take(fits[-1] if fits else [])
                        self._commented = self._names in in_comments
                        return
                    self._prose = self._prose or text_of(line).strip()[:40]
                    prose = self._start if prose is None else prose
                self._start = file.tell()
                if self._start > 1 << 20:
                    break
            self._start = self._start if prose is None else prose

    def _take(self, names: list[str], found: dict[str, str] | None = None) -> None:
        """Takes the names of all columns, none if there are none, and those of x, y, t, p."""
        self._names = names
        if names:
            self._order, self._said, self._rest = order_of(names, found)

    def _find_order(self, stretches: list[np.ndarray]) -> None:
        """Finds what each column holds, by its name and by its values."""
        if self._names:
            rows = dict(zip(self._names, stretches[0].T, strict=True))
            every = np.concatenate(stretches)
            for k, name in enumerate(self._names):
                columns.check_camera(name, every[:, k], len(every))
            found = columns.by_names(self._names, split=True) or {}
            values = columns.by_values(stretches[0]) if len(self._names) == 4 else None
            try:
                found, told = columns.settled(found, rows)
            except InputError:
                if not (self._commented and values):
                    raise
                told = f"a comment's names do not fit, its columns are taken as {' '.join(values)}"
                self._names, self._said, self._rest = [], "", ""
                self._order = values
            else:
                self._take(self._names, found)
                if self._commented and values and self._order != values and not told:
                    told = f"its columns are taken as {' '.join(self._order or '')} by a comment"
            self.notice(told)
            return
        self._order = columns.by_values(stretches[0])
        if self._order and self._prose:
            self.notice(
                f"its line {self._prose!r} names no columns that are known, they are taken as "
                f"{' '.join(self._order)}"
            )

    def _look(self) -> None:
        """Finds order, size and unit by some stretches."""
        raw = list(self._raw_stretches())
        found = (unpadded_in(lines) for lines in raw)
        self._unpadded = next((k for k in found if k is not None), None)
        if self._unpadded is not None:
            self.notice("its times are taken as seconds and nanoseconds without zeros before them")
        parsed = [self._parsed(lines)[0] for lines in raw]
        if not len(parsed[0]):
            self._parsed(raw[0], strict=True)
            raise InputError(f"{self.path} holds no events.")
        stretches = [rows for rows in parsed if len(rows)]
        self._find_order(stretches)
        if self._order is None:
            raise InputError(
                f"{self.path}: no column rises as times do, with polarities last: {_EXPECTED}."
            )
        x, y = (self._order.index(name) for name in "xy")
        every = np.concatenate(stretches)
        if "p" in self._order:
            self.notice(told_of(every[:, self._order.index("p")]))
        if self._rest and not is_part(every[:, self._order.index("n")], self._rest):
            self._order = self._order.replace("t", "-").replace("n", "t")
            self._said, self._rest = self._rest, ""
        self.find_size(every[:, x], every[:, y], self._stated)
        times = [self._times(rows) for rows in stretches]
        share = max(os.path.getsize(self.path) / (_STRETCHES * _BYTES), 1.0)
        total = round(share * sum(map(len, times)))
        whole = all(np.all((t == np.rint(t)) & (t < 1 << 53)) for t in times)
        usual = "us" if whole else "s"
        documented = "ns" if self._rest else "s"
        said = self._said or unit_told(self._comments)
        self.find_unit(times, usual, total, 1.0, said, documented)

    def _times(self, rows: np.ndarray) -> np.ndarray:
        """Times of rows in the unit of their column; in ns where a second one is added."""
        assert self._order is not None
        t = rows[:, self._order.index("t")]
        if not self._rest:
            return t
        return to_ns(np.floor(t), "s", to_ns(rows[:, self._order.index("n")], self._rest))

    def _stated(self, x: np.ndarray, y: np.ndarray) -> tuple[int, int] | None:
        """The size of the first line, or of a comment or sentence that fits the events."""
        named = sensors.implied_by(self._comments).size
        said = (self._head, *sensors.sizes_in(self._comments), *self._sizes, named)
        sizes = filter(None, said)
        return next((s for s in sizes if sensors.holds(sensors.turned(s, x, y), x, y)), None)

    def _raw_stretches(self) -> Iterator[list[bytes]]:
        """The lines of some stretches, at least of the first one."""
        end = os.path.getsize(self.path)
        starts = np.linspace(self._start, max(end - _BYTES, self._start), _STRETCHES)
        with self.path.open("rb") as file:
            reached = self._start
            for start in starts.astype(int).tolist():
                file.seek(max(start, reached))
                if start > reached:
                    file.readline()  # the rest of a line
                if (lines := file.readlines(_BYTES)) or reached == self._start:
                    yield lines
                reached = file.tell()

    def _parsed(self, lines: list[bytes], strict: bool = False) -> tuple[np.ndarray, int]:
        """Rows float64 [N, columns], and how many lines are none."""
        lines = [line for line in lines if line.strip() and not is_comment(line)]
        if self._unpadded is not None:
            lines = padded(lines, self._unpadded)
        width = len(self._order) if self._order else 4
        if not lines:
            return np.empty((0, width)), 0
        try:
            rows = np.loadtxt(plain_of(b"".join(lines)).splitlines(), ndmin=2)
            if rows.size == 0 or rows.shape[1] == width:
                return rows.reshape(-1, width), 0
        except ValueError:
            pass
        order = self._order or "?" * 4
        good = events_in(lines, order)
        if good is None:
            good = np.array([event for line in lines if (event := event_in(line, order))])
        self._zeros = self._zeros or any(b"\0" in line for line in lines)
        if strict and not len(good):
            line = lines[0].decode(errors="replace").strip()[:40]
            raise InputError(f"{self.path}: the line {line!r} is no event: {_EXPECTED}.")
        return good.reshape(-1, width).astype(np.float64), len(lines) - len(good)

    def _columns(self) -> Iterator[Columns]:
        assert self._order is not None
        where = [self._order.find(name) for name in "xyp"]
        with self.path.open("rb") as file:
            file.seek(self._start)
            last = 0.0  # the polarity of the last event
            while lines := list(islice(file, CHUNK)):
                rows, bad = self._parsed(lines)
                # A line that is no event counts as an event outside the sensor.
                rows = np.concatenate([rows, np.full((bad, rows.shape[1]), -1.0)])
                x, y, p = (rows[:, k] if k >= 0 else np.ones(len(rows)) for k in where)
                good = len(rows) - bad
                last = p[good - 1] if good else last
                p[good:] = last  # -1 would count as a polarity
                times = to_ns(self._times(rows), self._unit)
                times[good:] = times[:1] if good else 0
                yield x, y, times, p
        if self._zeros:
            raise InputError(f"{self.path} holds zeros amid its text: its recorder lost its power.")
