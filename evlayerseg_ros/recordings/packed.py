"""What is compressed, as far as it can be read."""

from __future__ import annotations

import bz2
import io
import sys
from pathlib import Path
from typing import Any

import lz4.frame

from evlayerseg_ros.recordings.beginnings import SKIPPED, ZSTD

if sys.version_info >= (3, 14):
    from compression import zstd
else:
    from backports import zstd

_WINDOW = zstd.DecompressionParameter.window_log_max


def unpacked(data: bytes, compression: str) -> tuple[bytes, bool]:
    """Decompressed bytes, as many as can be, and whether these are all."""
    if compression in ("", "none"):
        return data, True
    makers: dict[str, Any] = {
        "zstd": zstd.ZstdDecompressor,
        "lz4": lz4.frame.LZ4FrameDecompressor,
        "bz2": bz2.BZ2Decompressor,
    }
    out = bytearray()
    try:
        tool = makers[compression]()
        for start in range(0, len(data), 1 << 12):
            out += tool.decompress(data[start : start + (1 << 12)])
            if tool.eof:
                return bytes(out), True
    except (KeyError, EOFError, OSError, RuntimeError, ValueError, zstd.ZstdError):
        pass
    return bytes(out), False


def unzip(source: Path, target: Path) -> str:
    """Decompresses what it can of a .zstd file; returns what is wrong, "" if nothing is."""
    with source.open("rb") as packed, target.open("wb") as whole:
        begin = packed.read(4)
        while begin == ZSTD or begin in SKIPPED:  # frames, one after the other
            packed.seek(-len(begin), io.SEEK_CUR)
            tool = zstd.ZstdDecompressor(options={_WINDOW: _WINDOW.bounds()[1]})
            try:
                while not tool.eof and (block := packed.read(1 << 16)):
                    whole.write(tool.decompress(block))
            except zstd.ZstdError:
                return "its compressed data are damaged"
            if not tool.eof:
                return "it was cut off"
            packed.seek(-len(tool.unused_data), io.SEEK_CUR)
            begin = packed.read(4)
    return ""
