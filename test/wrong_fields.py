"""Recordings that are valid but for one field, by the name of their kind."""

from __future__ import annotations

import re
import struct
from collections.abc import Callable
from pathlib import Path
from typing import Any

import h5py
import numpy as np
from faulty import PACKETS, SIZE, bases, some_events
from faulty_files import STAMP, event_array, packet_bag, stored

from evlayerseg_ros.events import Events

Rng = np.random.Generator
_NUMBERS = (0, -1, 1, 255, 4096, 2**15, 2**31 - 1, 2**31, 2**32 - 1, 2**62, 2**63 - 1, -(2**40))


def _pick(rng: Rng, values: Any) -> Any:
    return values[int(rng.integers(len(values)))]


def _columns(rng: Rng) -> dict[str, Any]:
    """x, y, t, p and size with one of them wrong."""
    e = some_events()
    table: dict[str, Any] = {k: getattr(e, k).astype(np.int64) for k in "xyp"}
    table |= {"t": e.t * _pick(rng, (1, 1e-3, 1e-6, 1e-9)), "size": np.array(SIZE)}
    name = _pick(rng, ("x", "y", "t", "p", "t", "size"))
    column = table[name]
    choice = int(rng.integers(8))
    at = int(rng.integers(len(column)))
    if choice == 0:
        column = column.astype(_pick(rng, ("i1", "u1", "i2", "u4", "u8", "f4", "f2", "?", "S3")))
    elif choice == 1:
        column = column[: int(rng.integers(len(column) + 1))]
    elif choice == 2:
        column = np.stack([column, column], int(rng.integers(2)))
    elif choice == 3:
        column = column.astype(float)
        column[at] = _pick(rng, (np.nan, np.inf, -np.inf, 1e300, -1e-300))
    elif choice == 4:
        column = column * float(_pick(rng, (0.0, -1.0, 1e-12, 1e3, 1e9, 1e15)))
    elif choice == 5:
        column = rng.permutation(column)
    elif choice == 6:
        column = np.array(_pick(rng, _NUMBERS))
    else:
        column = column.copy()
        column[at] = _pick(rng, _NUMBERS)
    return {**table, name: column}


def _npz(rng: Rng, path: Path) -> None:
    table = _columns(rng)
    if rng.random() < 0.2:
        table.pop(_pick(rng, list(table)))
    np.savez(path, **table)


def _h5(rng: Rng, path: Path) -> None:
    table = _columns(rng)
    size = table.pop("size")
    with h5py.File(path, "w") as file:
        form = int(rng.integers(3))
        if form == 1 and len({np.shape(c) for c in table.values()}) == 1:
            file["events"] = np.column_stack([table[k].astype(float) for k in "txyp"])
        else:
            names = "xytp" if form else ("xs", "ys", "ts", "ps")
            for name, k in zip(names, "xytp", strict=True):
                file[f"events/{name}"] = table[k]
        if rng.random() < 0.5:
            file.attrs[_pick(rng, ("sensor_resolution", "geometry", "width"))] = size
        if rng.random() < 0.2:
            file["t_offset"] = _pick(rng, _NUMBERS[:9])


def _txt(rng: Rng, path: Path) -> None:
    table = _columns(rng)
    rows = ["320 240"] if rng.random() < 0.5 else []
    rows += [" ".join(map(str, row)) for row in zip(*(np.ravel(table[k]) for k in "txyp"))]
    if rows and rng.random() < 0.3:
        lines = ("", "#", "a b c d", "1 2 3", "1,2,3,4", "\0")
        rows[int(rng.integers(len(rows)))] = _pick(rng, lines)
    path.write_text(_pick(rng, ("\n", "\r\n", "\n\n")).join(rows))


def _header(rng: Rng, text: str) -> str:
    """A header with one of its numbers or letters changed."""
    numbers = [m.span() for m in re.finditer(r"\d+|[A-Za-z]+", text)]
    begin, end = _pick(rng, numbers)
    return f"{text[:begin]}{_pick(rng, (*_NUMBERS, '', 'x', '3.1', 'GenX320'))}{text[end:]}"


def _raw(rng: Rng, path: Path) -> None:
    encoding, version = _pick(rng, (("evt2", "2.0"), ("evt21", "2.1"), ("evt3", "3.0")))
    said = (f"% evt {version}", f"% geometry {SIZE[0]}x{SIZE[1]}", "% system_ID 49",
            "% sensor_generation 4.2", f"% format EVT{version[0]};width=320")  # fmt: skip
    lines = [line for line in said if rng.random() < 0.6] or [said[0]]
    head = _header(rng, "\n".join(lines) + "\n")
    path.write_bytes(head.encode() + b"% end\n" + b"".join(PACKETS[encoding]))


def _dat(rng: Rng, path: Path) -> None:
    e = some_events()
    words = np.stack(
        [e.t // 1000, e.x | e.y.astype(np.int64) << 14 | e.p.astype(np.int64) << 28], 1
    )
    words = words.astype("<u4")
    words[int(rng.integers(len(words))), int(rng.integers(2))] = _pick(rng, _NUMBERS[:9]) % 2**32
    about = [_pick(rng, (0, 12, 12, 13)), _pick(rng, (8, 8, 8, 16))]
    head = _header(rng, "% Version 2\n% Height 240\n% Width 320\n")
    path.write_bytes(head.encode() + bytes(about) + words.tobytes())


def _aedat(rng: Rng, path: Path) -> None:
    e = some_events()
    x, y, p, t = (getattr(e, k).astype(np.int64) for k in "xypt")
    if rng.random() < 0.5:
        head = "#!AER-DAT2.0\r\n# AEChip: eu.seebetter.ini.chips.davis.DAVIS346B\r\n"
        words = np.stack([y << 22 | x << 12 | p << 11, t // 1000], 1)
        words[int(rng.integers(len(words))), int(rng.integers(2))] = _pick(rng, _NUMBERS[:9])
        body = (words % 2**32).astype(">u4").tobytes()
    else:
        head = "#!AER-DAT3.1\r\n#Source 1: DAVIS346\r\n#!END-HEADER\r\n"
        fields = [1, 1, 8, 4, 0, len(e), len(e), len(e)]
        k = int(rng.integers(8))
        fields[k] = _pick(rng, (0, -1, 2, 16, 2**15 - 1, *((2**31 - 1,) if k > 1 else ())))
        words = np.stack([x << 17 | y << 2 | p << 1 | 1, t // 1000], 1)
        body = struct.pack("<hhiiiiii", *fields) + words.astype("<u4").tobytes()
    path.write_bytes((_header(rng, head) if rng.random() < 0.3 else head).encode() + body)


def _bag(rng: Rng, path: Path, storage: str) -> None:
    """One message of twelve has a field that lies."""
    wrong, encoding = int(rng.integers(12)), _pick(rng, list(PACKETS))
    with packet_bag(path.with_suffix(""), storage) as (_, add):
        for seq, base in enumerate(bases()):
            field = {"stamp": STAMP + base, "height": SIZE[1], "width": SIZE[0], "seq": seq,
                     "base": base, "encoding": encoding, "big": False}  # fmt: skip
            if seq == wrong:
                lie = _pick(rng, list(field))
                number = _pick(rng, [n for n in _NUMBERS if 0 <= n < 2**32])
                field[lie] = _pick(rng, ("evt4", "", "mono", "é")) if lie == "encoding" else number
                field["big"] = bool(field["big"])
            add(**field, data=PACKETS[encoding][seq], at=STAMP + base)
    stored(path.with_suffix("")).rename(path)


def array_with_a_lie(rng: Rng) -> bytes:
    """An EventArray of which one event or one number of the header is wrong."""
    e = some_events(20)
    columns = [getattr(e, k).copy() for k in "xytp"]
    column = columns[int(rng.integers(3))]
    column[int(rng.integers(20))] = _pick(rng, [n for n in _NUMBERS if 0 <= n < 2**15])
    raw = bytearray(event_array(Events(*columns, *SIZE)))
    if rng.random() < 0.5:
        at = 4 * int(rng.integers(1, 8))
        raw[at : at + 4] = struct.pack("<I", int(_pick(rng, _NUMBERS)) % 2**32)
    return bytes(raw)


KINDS: dict[str, Callable[[Rng, Path], None]] = {
    "npz": _npz,
    "h5": _h5,
    "txt": _txt,
    "csv": _txt,
    "raw": _raw,
    "dat": _dat,
    "aedat": _aedat,
    "mcap": lambda rng, path: _bag(rng, path, "mcap"),
    "db3": lambda rng, path: _bag(rng, path, "db3"),
}
"""What writes a recording of each kind, by its suffix."""
