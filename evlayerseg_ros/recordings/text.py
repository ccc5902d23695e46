"""Text with an event a line."""

from __future__ import annotations

import os
import re
import zlib
from collections.abc import Iterator
from itertools import islice
from pathlib import Path

import numpy as np

from evlayerseg_ros.errors import InputError
from evlayerseg_ros.recordings import columns, sensors
from evlayerseg_ros.recordings.readers import CHUNK, Columns, Table
from evlayerseg_ros.recordings.rows import told_of
from evlayerseg_ros.recordings.units import is_part, to_ns

# Size and unit are told by so many stretches of so many bytes.
_STRETCHES, _BYTES = 16, 1 << 18
_BOM = b"\xef\xbb\xbf"  # some editors write it first
_COMMENTS = (b"#", b"%", b"//")
_COMMENT = re.compile(b"|".join(_COMMENTS))
_SPACES = bytes.maketrans(b",;|\"'[](){}", b" " * 11)
_MINUS = "\u2212".encode()
# Polarities in words.
_SIGNS = {
    **dict.fromkeys(("true", "t", "on", "+", "p", "pos", "positive"), 1.0),
    **dict.fromkeys(("false", "f", "off", "-", "n", "neg", "negative"), 0.0),
}
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
        self._order: str | None = None  # of the columns, as in "txyp"
        self._said = ""  # the times' unit by their column's name
        self._rest = ""  # the unit of a second column, added to one of seconds; "" if there is none
        self._prose = ""  # the first line that is neither names, size, comment nor event
        self._sizes: list[tuple[int, int]] = []  # comments of two numbers
        self._comments = ""
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
            named: list[list[str]] = []
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
                elif found := names_in(plain):
                    named.append(found)
                elif not comment and words != [""]:
                    if line.startswith(b'"1"'):  # R counts the rows, without a name
                        named += [["", *names] for names in named]
                    fits = [names for names in named if _numbers(line, _order_of(names)[0])]
                    if fits or numbers_in(line) is not None:
                        self._take(fits[-1] if fits else [])
                        return
                    self._prose = self._prose or line.decode("latin-1").strip()[:40]
                    prose = self._start if prose is None else prose
                self._start = file.tell()
                if self._start > 1 << 20:
                    break
            self._start = self._start if prose is None else prose

    def _take(self, names: list[str], found: dict[str, str] | None = None) -> None:
        """Takes the names of all columns, none if there are none, and those of x, y, t, p."""
        self._names = names
        if names:
            self._order, self._said, self._rest = _order_of(names, found)

    def _find_order(self, stretches: list[np.ndarray]) -> None:
        """Finds what each column holds, by its name and by its values."""
        if self._names:
            rows = dict(zip(self._names, stretches[0].T, strict=True))
            every = np.concatenate(stretches)
            for k, name in enumerate(self._names):
                columns.check_camera(name, every[:, k], len(every))
            found = columns.by_names(self._names, split=True) or {}
            found, told = columns.settled(found, rows)
            self._take(self._names, found)
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
        stretches = list(self._stretches())
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
        self.find_unit(times, usual, total, 1.0, self._said, documented)

    def _times(self, rows: np.ndarray) -> np.ndarray:
        """Times of rows in the unit of their column; in ns where a second one is added."""
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
        """The rows of some stretches, float64 [N, columns] each; at least the first one's."""
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
        good = [numbers for line in lines if (numbers := _numbers(line, self._order or "?" * 4))]
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
                # A line that is no event counts as an event outside the sensor.
                rows = np.concatenate([rows, np.full((bad, rows.shape[1]), -1.0)])
                x, y, p = (rows[:, k] if k >= 0 else np.ones(len(rows)) for k in where)
                times = to_ns(self._times(rows), self._unit)
                times[len(rows) - bad :] = times[:1] if bad < len(rows) else 0
                yield x, y, times, p
        if self._zeros:
            raise InputError(f"{self.path} holds zeros amid its text: its recorder lost its power.")


def _plain(text: bytes) -> bytes:
    """Lines with only spaces between their numbers, and decimal points where they had commas."""
    if b"," in text and (b";" in text or b"\t" in text):
        text = re.sub(rb"[,;\t ]+(?=[\r\n]|$)", b"", text)
        if b";" in text or b"\t" in text:
            text = re.sub(rb"(?<=\d),(?=\d)", b".", text)
    fields = text.split(b"\n", 1)[0].split(b"#")[0].split()
    if len(fields) > 3 and all(re.fullmatch(rb"[^,]+(,\d+)?", field) for field in fields):
        text = re.sub(rb"(?<=\d),(?=\d)", b".", text)
    return text.replace(_MINUS, b"-").translate(_SPACES)


def _words(line: bytes) -> list[str]:
    return _plain(line).decode("latin-1").strip().split() or [""]


def names_in(line: bytes) -> list[str]:
    """The names of all columns that a line gives, maybe behind a colon or in brackets; or none."""
    whole = line.decode("latin-1").replace('"', "").strip()
    inside = re.search(r"[\[({](.*)[\])}]", whole)
    texts = [whole, whole.rsplit(":", 1)[-1].strip(" []()"), inside[1].strip() if inside else ""]
    best: tuple[int, list[str]] = (0, [])
    for text in texts:
        words = re.split(r"[,;\t]" if re.search(r"[,;\t]", text) else r"\s+", text)
        found = len(columns.by_names(words, split=True) or {})
        if (found, -len(words)) > (best[0], -len(best[1])):
            best = found, words
    return best[1]


def _order_of(names: list[str], found: dict[str, str] | None = None) -> tuple[str, str, str]:
    """Order of named columns, as in "txyp", and units.

    The first unit is that of the times. Where these are in two columns, t and n, it is ns, and the
    second unit that of n; else the second is "".

    Args:
        names: of all columns.
        found: the names of x, y, t, p; None: by columns.by_names.
    """
    found = found or columns.by_names(names, split=True) or {}
    where = {v: k for k, v in found.items()}
    rest = columns.unit_in(found.get("n", ""))
    order = "".join(where.get(name, "-") for name in names)
    return order, "ns" if rest else columns.unit_in(found["t"]), rest


def is_comment(line: bytes) -> bool:
    """Whether all of a line is a comment."""
    return line.lstrip().startswith(_COMMENTS)


def numbers_in(line: bytes, signs: bool = True) -> list[float] | None:
    """The numbers of a line, up to a comment; None if it holds anything else.

    Args:
        line: some text.
        signs: whether words for polarities, as `on`, are numbers, too.
    """
    try:
        words = _words(_COMMENT.split(line)[0])
        return [float(_SIGNS.get(word.lower(), word) if signs else word) for word in words]
    except ValueError:
        return None


def _numbers(line: bytes, order: str) -> list[float] | None:
    """The numbers of an event's line, None if it is none; words in columns that are not used count.

    Args:
        line: some text.
        order: of the columns, as in "txyp", with - for those that are not used.
    """
    numbers = numbers_in(line)
    words = _words(_COMMENT.split(line)[0]) if numbers is None and "-" in order else []
    if len(words) == len(order):
        there = [numbers_in(word.encode()) for word in words]
        if all(number or name == "-" for number, name in zip(there, order, strict=True)):
            numbers = [
                number[0] if number else float(zlib.crc32(word.encode()))
                for number, word in zip(there, words, strict=True)
            ]
    return numbers if numbers is not None and len(numbers) == len(order) else None
