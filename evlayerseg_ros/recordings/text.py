"""Text with an event a line."""

from __future__ import annotations

import os
import re
from collections.abc import Iterator
from itertools import islice
from pathlib import Path

import numpy as np

from evlayerseg_ros.errors import InputError
from evlayerseg_ros.recordings import columns, sensors
from evlayerseg_ros.recordings.readers import CHUNK, Columns, Table
from evlayerseg_ros.recordings.units import is_part, to_ns, unit_of

# Where a long file is looked into for its size and unit: so many stretches of so many bytes.
_STRETCHES, _BYTES = 16, 1 << 18
_BOM = b"\xef\xbb\xbf"  # which some editors put before all else
_COMMENTS = (b"#", b"%", b"//")
_COMMENT = re.compile(b"|".join(_COMMENTS))
_SPACES = bytes.maketrans(b",;|\"'[](){}", b" " * 11)
# Polarities in words.
_SIGNS = {"true": 1.0, "on": 1.0, "+": 1.0, "false": 0.0, "off": 0.0, "-": 0.0}
_EXPECTED = "expected t x y p, or a first line that names the columns"


class TextRecording(Table):
    """Lines `t x y p` with t in s; or x y p t, or in the order that a first line of names says.

    A first line of two numbers is the size (as E2VID's files have); without one a size is assumed.
    A comment before the events that may be either is believed where it fits them. Times in ms, us
    or ns are recognised. What is assumed is noted.
    """

    kind = "text with lines `t x y p`"

    def __init__(self, path: Path, size: tuple[int, int] | None = None) -> None:
        super().__init__(path, size)
        self.total: int | None = None
        self._order: str | None = None
        self._said = ""  # the unit, by the name of the column of times
        self._rest = ""  # that of a column that is added to it, which holds seconds then
        self._sizes: list[tuple[int, int]] = []  # what comments may mean
        self._comments = ""
        self._zeros = False  # bytes that no text has
        try:
            self._read_head()
            self._look()
        except Exception as error:
            raise self._told(error) from error

    def _read_head(self) -> None:
        """The lines before the first event: a size, names of columns, comments."""
        with self.path.open("rb") as file:
            self._start = file.seek(len(_BOM) if file.read(len(_BOM)) == _BOM else 0)
            prose: int | None = None  # where the first line that is none of these begins
            named: list[tuple[str, str, str]] = []
            for line in iter(file.readline, b""):
                plain = line.lstrip(b"#%/ \t")  # numpy.savetxt's header is a comment
                comment = is_comment(line)
                words = _words(_COMMENT.split(plain)[0])
                self._comments += plain.decode("latin-1") if comment else ""
                if len(words) == 2 and all(word.isdigit() for word in words):
                    size = int(words[0]), int(words[1])
                    if comment:
                        self._sizes.append(size)
                    elif self.size is None:
                        self.width, self.height = size
                elif not comment and (said := sensors.in_words(line.decode("latin-1"))):
                    self.width, self.height = self.size or said
                elif (found := _order_of(plain)) is not None:
                    named.append(found)
                elif not comment and words != [""] and numbers_in(line) is None:
                    prose = self._start if prose is None else prose
                elif not comment and words != [""]:
                    fits = [found for found in named if len(found[0]) == len(words)]
                    self._order, self._said, self._rest = fits[-1] if fits else (None, "", "")
                    return
                self._start = file.tell()
                if self._start > 1 << 20:
                    break
            self._start = self._start if prose is None else prose

    def _look(self) -> None:
        """Order, size and unit, from some stretches."""
        stretches = list(self._stretches())
        self._order = self._order or columns.by_values(stretches[0])
        if self._order is None:
            raise InputError(
                f"{self.path}: no column rises as times do, with polarities last: {_EXPECTED}."
            )
        x, y = (self._order.index(name) for name in "xy")
        every = np.concatenate(stretches)
        if self._rest and not is_part(every[:, self._order.index("n")], self._rest):
            self._order = self._order.replace("t", "-").replace("n", "t")
            self._said, self._rest = self._rest, ""
        self.find_size(every[:, x], every[:, y], self._stated)
        times = [self._times(rows) for rows in stretches]
        share = max(os.path.getsize(self.path) / (_STRETCHES * _BYTES), 1.0)
        total = round(share * sum(map(len, times)))
        size = (self.width, self.height)
        whole = all(np.all((t == np.rint(t)) & (t < 1 << 53)) for t in times)
        usual = "us" if whole else "s"
        unit = unit_of(times, size, usual, self.path, total, 1.0, self._said)
        self.notice(unit.told("ns" if self._rest else "s"))
        self._unit = unit.name

    def _times(self, rows: np.ndarray) -> np.ndarray:
        """In the unit of their column; in ns where a second one is added to it."""
        assert self._order is not None
        t = rows[:, self._order.index("t")]
        if not self._rest:
            return t
        return to_ns(np.floor(t), "s", to_ns(rows[:, self._order.index("n")], self._rest))

    def _stated(self, x: np.ndarray, y: np.ndarray) -> tuple[int, int] | None:
        """The size of the first line, or of a comment that fits the events."""
        sizes = [*sensors.sizes_in(self._comments), *self._sizes]
        fits = (size for size in sizes if sensors.holds(size, x, y))
        return (self.width, self.height) if self.width else next(fits, None)

    def _stretches(self) -> Iterator[np.ndarray]:
        end = os.path.getsize(self.path)
        starts = np.linspace(self._start, max(end - _BYTES, self._start), _STRETCHES)
        with self.path.open("rb") as file:
            reached = -1
            for start in starts.astype(int).tolist():
                if start < reached:
                    continue
                file.seek(start)
                if start > self._start:
                    file.readline()  # the rest of a line
                lines = file.readlines(_BYTES)
                reached = file.tell()
                rows, _ = self._parsed(lines)
                if len(rows):
                    yield rows
                elif start == self._start:
                    self._parsed(lines, strict=True)
                    raise InputError(f"{self.path} holds no events.")

    def _parsed(self, lines: list[bytes], strict: bool = False) -> tuple[np.ndarray, int]:
        """Rows float64 [N, columns], and how many lines are none."""
        lines = [line for line in lines if line.strip() and not is_comment(line)]
        width = len(self._order) if self._order else 4
        if not lines:
            return np.empty((0, width)), 0
        try:
            rows = np.loadtxt(_plain(b"".join(lines)).splitlines(), ndmin=2)
            if rows.size == 0 or rows.shape[1] == width:
                return rows.reshape(-1, width), 0
        except ValueError:
            pass
        good = [numbers for line in lines if (numbers := _numbers(line, width))]
        self._zeros = self._zeros or any(b"\0" in line for line in lines)
        if strict and lines and not good:
            line = lines[0].decode(errors="replace").strip()[:40]
            raise InputError(f"{self.path}: the line {line!r} is no event: {_EXPECTED}.")
        return np.array(good, np.float64).reshape(-1, width), len(lines) - len(good)

    def _columns(self) -> Iterator[Columns]:
        assert self._order is not None
        where = [self._order.find(name) for name in "xyp"]
        with self.path.open("rb") as file:
            file.seek(self._start)
            while lines := list(islice(file, CHUNK)):
                rows, bad = self._parsed(lines)
                # A line that is no event is one outside the sensor, to be counted.
                rows = np.concatenate([rows, np.full((bad, rows.shape[1]), -1.0)])
                x, y, p = (rows[:, k] if k >= 0 else np.ones(len(rows)) for k in where)
                times = to_ns(self._times(rows), self._unit)
                times[len(rows) - bad :] = times[:1] if bad < len(rows) else 0
                yield x, y, times, p
        if self._zeros:
            raise InputError(f"{self.path} holds zeros amid its text: its recorder lost its power.")


def _plain(text: bytes) -> bytes:
    """Lines with nothing but spaces between their numbers; these may have commas for points."""
    if b"," in text and (b";" in text or b"\t" in text):
        text = re.sub(rb"[,;\t ]+(?=[\r\n]|$)", b"", text)
        if b";" in text or b"\t" in text:
            text = re.sub(rb"(?<=\d),(?=\d)", b".", text)
    return text.translate(_SPACES)


def _words(line: bytes) -> list[str]:
    return _plain(line).decode("latin-1").strip().split() or [""]


def _order_of(line: bytes) -> tuple[str, str, str] | None:
    """Order of the columns that a line names, as in "txyp", and the unit; None without names.

    Where times are in two columns the unit of the second one, n, comes last, else "".
    """
    split = r"[,;\t]" if re.search(rb"[,;\t]", line) else r"\s+"
    words = re.split(split, line.decode("latin-1").replace('"', "").strip())
    names = columns.by_names(words, split=True)
    where = {v: k for k, v in (names or {}).items()}
    if not names:
        return None
    order = "".join(where.get(word, "-") for word in words)
    rest = columns.unit_in(names.get("n", ""))
    return order, "ns" if rest else columns.unit_in(names["t"]), rest


def is_comment(line: bytes) -> bool:
    """Whether a line is one as a whole."""
    return line.lstrip().startswith(_COMMENTS)


def numbers_in(line: bytes, signs: bool = True) -> list[float] | None:
    """The numbers of a line before any comment, None if it holds anything else.

    Args:
        line: some text.
        signs: whether words for polarities are numbers, too.
    """
    try:
        words = _words(_COMMENT.split(line)[0])
        return [float(_SIGNS.get(word.lower(), word) if signs else word) for word in words]
    except ValueError:
        return None


def _numbers(line: bytes, width: int) -> list[float] | None:
    numbers = numbers_in(line)
    return numbers if numbers is not None and len(numbers) == width else None
