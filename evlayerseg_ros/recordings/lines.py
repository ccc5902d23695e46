"""Lines of text: comments, names of columns, numbers."""

from __future__ import annotations

import contextlib
import re
import zlib

import numpy as np

from evlayerseg_ros.errors import InputError
from evlayerseg_ros.recordings import columns

_COMMENTS = (b"#", b"%", b"//")
COMMENT = re.compile(b"|".join(_COMMENTS))
_SPACES = bytes.maketrans(b",;|\"'[](){}", b" " * 11)
# What arrays hold that are no numbers, by numpy's letter.
_KINDS = {"M": "dates", "m": "durations", "c": "complex numbers", "V": "records"}
_MINUS = "\u2212".encode()
# Names in a list, behind words for it.
_INNER = re.compile(
    r"(?:(?:the|columns?|formats?|order|fields?|each|rows?|lines?|data|events?|of|in|per|are|is)\s*)*"
    r"(?::|=|(?=[\[({]))\s*"
    r"(?:[\[({]((?:[^\[\](){}]|[\[({][^\[\](){}]*[\])}])*)[\])}].*|([^\[({].*))",
    re.I,
)
# Spaces before a unit in brackets.
_GAP = re.compile(r"(?<=\w)\s+(?=[\[(][^\s,\[\]()]*[\])])")
# Seconds and nanoseconds; from so many lines on, and by so many, it is told how these are printed.
_STAMP = re.compile(rb"(\d{1,10})\.(\d{1,9})")
_FEW, _MANY = 50, 2000
# Polarities in words.
_SIGNS = {
    **dict.fromkeys(("true", "t", "on", "+", "p", "pos", "positive"), 1.0),
    **dict.fromkeys(("false", "f", "off", "-", "n", "neg", "negative"), 0.0),
}


def plain_of(text: bytes) -> bytes:
    """Lines with only spaces between their numbers, and decimal points where they had commas."""
    if b"," in text and (b";" in text or b"\t" in text):
        text = re.sub(rb"[,;\t ]+(?=[\r\n]|$)", b"", text)
        if b";" in text or b"\t" in text:
            text = re.sub(rb"(?<=\d),(?=\d)", b".", text)
    fields = text.split(b"\n", 1)[0].split(b"#")[0].split() if b"," in text else []
    if len(fields) > 3 and all(re.fullmatch(rb"[^,]+(,\d+)?", field) for field in fields):
        text = re.sub(rb"(?<=\d),(?=\d)", b".", text)
    return text.replace(_MINUS, b"-").translate(_SPACES)


def words_in(line: bytes) -> list[str]:
    """What a line holds between spaces and other separators; an empty one holds ""."""
    return plain_of(line).decode("latin-1").strip().split() or [""]


def text_of(line: bytes) -> str:
    """A line in UTF-8, or in Latin-1, which any bytes are."""
    try:
        return line.decode()
    except UnicodeDecodeError:
        return line.decode("latin-1")


def names_in(text: str) -> list[str]:
    """The names of all columns that a line gives, maybe as a list behind `columns:`; or none."""
    whole = _GAP.sub("", re.sub("[\"']", "", text).strip())
    inner = _INNER.fullmatch(whole)
    texts = [whole, inner[1] or inner[2] or ""] if inner else [whole]
    best: tuple[int, list[str]] = (0, [])
    for text in texts:
        words = re.split(r"[,;\t|]" if re.search(r"[,;\t|]", text) else r"\s+", text)
        found = len(columns.by_names(words, split=True) or {})
        if (found, -len(words)) > (best[0], -len(best[1])):
            best = found, words
    return best[1]


def order_of(names: list[str], found: dict[str, str] | None = None) -> tuple[str, str, str]:
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


def unpadded_in(lines: list[bytes]) -> int | None:
    """The number of a column of seconds, a point and nanoseconds without zeros before them.

    So 1.19000 is 19 us after 1 s. Read as fractions these fall, but not read as two numbers.
    """
    some = b"".join(lines[:: len(lines) // _MANY + 1])
    rows = [line.split() for line in plain_of(some).split(b"\n")]
    rows = [words for words in rows[:-1] if words]
    for k, column in enumerate(zip(*rows, strict=False)):
        stamps = [stamp for word in column if (stamp := _STAMP.fullmatch(word))]
        if len(stamps) < len(rows) or len({len(stamp[2]) for stamp in stamps}) < 2:
            continue
        ns = np.array([int(stamp[1]) * 10**9 + int(stamp[2]) for stamp in stamps])
        s = np.array([float(stamp[0]) for stamp in stamps])
        if len(ns) >= _FEW and np.any(s[1:] < s[:-1]) and np.all(ns[1:] >= ns[:-1]):
            return k
    return None


def padded(lines: list[bytes], k: int) -> list[bytes]:
    """Lines with zeros before the nanoseconds of their column k."""
    stamp = re.compile(rb"^(\s*(?:\S+\s+){%d}\d+\.)(\d{1,9})(?!\S)" % k, re.M)
    text = stamp.sub(lambda found: found[1] + found[2].rjust(9, b"0"), plain_of(b"".join(lines)))
    return text.splitlines(keepends=True)


def numbers_of(column: np.ndarray) -> np.ndarray:
    """A column [N] as it is if it holds numbers; polarities in words as numbers.

    Raises:
        InputError: it holds anything else.
    """
    if column.dtype.kind in "biuf":
        return column
    if column.dtype.kind in "SUO":
        with contextlib.suppress(TypeError, ValueError):  # objects that cannot be compared
            some, which = np.unique(column, return_inverse=True)
            few = some[:20].tolist()
            words = [str(w, "latin-1") if isinstance(w, bytes) else str(w) for w in few]
            signs = [_SIGNS.get(word.strip().lower()) for word in words]
            if len(words) == len(some) and None not in signs:
                return np.array(signs, float)[which]
    raise InputError(f"A column holds {_KINDS.get(column.dtype.kind, 'words')}: expected numbers.")


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
        words = words_in(COMMENT.split(line)[0])
        return [float(_SIGNS.get(word.lower(), word) if signs else word) for word in words]
    except ValueError:
        return None


def events_in(lines: list[bytes], order: str) -> np.ndarray | None:
    """Events [N, columns] of lines with a column that is not used, as of event_in, but fast.

    None where event_in may read them otherwise.
    """
    text = plain_of(b"".join(lines))
    if "-" not in order or COMMENT.search(text):
        return None
    split = (line.decode("latin-1").split() for line in text.split(b"\n"))
    rows = [words for words in split if len(words) == len(order)]
    found: list[list[float]] = []
    for name, words in zip(order, zip(*rows, strict=True), strict=False):
        try:
            found.append(list(map(float, words)))
        except ValueError:
            each = {word: numbers_in(word.encode("latin-1")) for word in set(words)}
            if name != "-" and not all(each.values()):
                return None
            known = {w: n[0] if n else float(zlib.crc32(w.encode())) for w, n in each.items()}
            found.append([known[word] for word in words])
    return np.array(found, np.float64).T.reshape(-1, len(order))


def event_in(line: bytes, order: str) -> list[float] | None:
    """The numbers of an event's line, None if it is none; words in columns that are not used count.

    Args:
        line: some text.
        order: of the columns, as in "txyp", with - for those that are not used.
    """
    numbers = numbers_in(line)
    words = words_in(COMMENT.split(line)[0]) if numbers is None and "-" in order else []
    if len(words) == len(order):
        there = [numbers_in(word.encode()) for word in words]
        if all(number or name == "-" for number, name in zip(there, order, strict=True)):
            numbers = [
                number[0] if number else float(zlib.crc32(word.encode()))
                for number, word in zip(there, words, strict=True)
            ]
    return numbers if numbers is not None and len(numbers) == len(order) else None
