"""tools/bench_codecs.py INCLUDE [RECORDING..]: our EVT 3.0 decoder beside event_camera_codecs'.

INCLUDE is the folder `include` of https://github.com/ros-event-camera/event_camera_codecs. Its
decoder is compiled here (g++ -O3 -march=native) and writes the same arrays as ours: x, y, t, p.
Both decode the same packets in turn, in this process, on one thread, as in `evlayerseg bench`:
theirs all in one call; ours by a call from Python each, and joined as one packet.
"""

from __future__ import annotations

import argparse
import ctypes
import subprocess
import sys
import tempfile
from collections.abc import Callable
from dataclasses import replace
from functools import partial
from pathlib import Path

import numpy as np

from evlayerseg_ros.bench import decoding
from evlayerseg_ros.bench.measure import Row, busy, machine, measure_in_turn, ratio, summary, table
from evlayerseg_ros.bench.settings import Settings
from evlayerseg_ros.events.codecs import Decoder

SECONDS = 2.0
SHIM = r"""
#include <cstdint>
#include <iostream>
#include <stdexcept>
#include <vector>
#include <event_camera_codecs/evt3_decoder.h>

struct Message { std::vector<uint8_t> events; uint64_t time_base; };

struct Store {  // what a decoder of ours gives back: arrays of x, y, t, p
  uint16_t *x, *y; int64_t *t; uint8_t *p; size_t count = 0;
  void eventCD(uint64_t time, uint16_t ex, uint16_t ey, uint8_t polarity) {
    x[count] = ex; y[count] = ey; p[count] = polarity;
    t[count++] = static_cast<int64_t>(time);
  }
  void eventExtTrigger(uint64_t, uint8_t, uint8_t) {}
  void finished() {}
  void rawData(const char *, size_t) {}
};

extern "C" size_t decode(
  const uint8_t * data, const int64_t * sizes, size_t packets, uint16_t width, uint16_t height,
  uint16_t * x, uint16_t * y, int64_t * t, uint8_t * p)
{
  event_camera_codecs::evt3::Decoder<Message, Store> decoder;
  decoder.setGeometry(width, height);
  size_t total = 0;
  for (size_t k = 0; k < packets; k++) {  // as for ours, the arrays of a packet begin anew
    Store store{x + total, y + total, t + total, p + total};
    decoder.decode(data, sizes[k], &store);
    data += sizes[k];
    total += store.count;
  }
  return total;
}
"""


def build(include: Path, folder: Path) -> ctypes.CDLL:
    """The C++ decoder as a library."""
    source, library = folder / "shim.cpp", folder / "shim.so"
    source.write_text(SHIM)
    flags = ["-O3", "-march=native", "-DNDEBUG", "-shared", "-fPIC", "-std=c++17"]
    command = ["g++", *flags, f"-I{include}", str(source), "-o", str(library)]
    subprocess.run(command, check=True)
    loaded = ctypes.CDLL(str(library))
    loaded.decode.restype = ctypes.c_size_t
    return loaded


def theirs(library: ctypes.CDLL, packets: decoding.Packets) -> Callable[[], int]:
    """Decodes all packets of a camera in C++; returns how many events there were."""
    data = np.concatenate([part for part, _ in packets.data]).view(np.uint8)
    sizes = np.array([part.nbytes for part, _ in packets.data], np.int64)
    # A word of EVT 3.0 (two bytes) holds at most twelve events.
    room = 6 * len(data) + 1
    out = [np.empty(room, kind) for kind in (np.uint16, np.uint16, np.int64, np.uint8)]

    def pointer(array: np.ndarray) -> ctypes.c_void_p:
        return ctypes.c_void_p(array.ctypes.data)

    def decode() -> int:
        size = ctypes.c_uint16(packets.width), ctypes.c_uint16(packets.height)
        count = ctypes.c_size_t(len(sizes))
        return library.decode(pointer(data), pointer(sizes), count, *size, *map(pointer, out))

    return decode


def joined(packets: decoding.Packets) -> decoding.Packets:
    """The same bytes as one packet, which EVT 3.0 does not tell from several."""
    return packets._replace(data=[(np.concatenate([data for data, _ in packets.data]), 0)])


def rows(settings: Settings, library: ctypes.CDLL) -> list[Row]:
    """Both decoders on each stream of EVT 3.0."""
    found = []
    streams = decoding.recorded(settings) if settings.recordings else decoding.synthetic()
    for packets in streams:
        if packets.encoding != "evt3":
            continue
        decoder = Decoder("evt3", packets.width, packets.height)
        actions = {
            "event_camera_codecs": theirs(library, packets),
            "evlayerseg": partial(packets.decode, decoder),
            # Without what each packet costs in calls from Python.
            "evlayerseg, one call": partial(joined(packets).decode, decoder),
        }
        counts = [action() for action in actions.values()]
        times = measure_in_turn(list(actions.values()), settings.seconds)
        for by, events, each in zip(actions, counts, times, strict=True):
            row = {"stream": packets.name, "by": by, "packets": len(packets.data), "events": events}
            found.append({**row, **summary(each, events), **ratio(each, times[0])})
    return found


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("include", type=Path)
    parser.add_argument("recordings", nargs="*", type=Path)
    options = parser.parse_args()
    about = machine()
    print(about["cpu"], f"load {about['load']}", busy(about), sep="\n")
    settings = Settings(seconds=SECONDS)
    with tempfile.TemporaryDirectory() as folder:
        library = build(options.include, Path(folder))
        found = [] if options.recordings else rows(settings, library)
        for recording in options.recordings:
            found += rows(replace(settings, recordings=(recording,)), library)
        print(table(found))
    return 0


if __name__ == "__main__":
    sys.exit(main())
