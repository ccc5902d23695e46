"""How long decoding takes, in every encoding, beside another decoder."""

from __future__ import annotations

import tempfile
from collections.abc import Callable, Iterator, Sequence
from functools import partial
from pathlib import Path
from typing import NamedTuple

import numpy as np

from evlayerseg_ros.bench import scenes
from evlayerseg_ros.bench.encode import encode
from evlayerseg_ros.bench.measure import Row, measure_in_turn, ratio, summary
from evlayerseg_ros.bench.settings import Settings
from evlayerseg_ros.errors import InputError
from evlayerseg_ros.events.codecs import ENCODINGS, Decoder
from evlayerseg_ros.recordings.raw import read_raw
from evlayerseg_ros.recordings.readers import open_recording

RAW_BLOCK = 1 << 16  # bytes of a RAW file that are decoded at once, about a packet


class Packets(NamedTuple):
    """Packets of one camera: (data, time base)."""

    name: str
    encoding: str
    width: int
    height: int
    data: Sequence[tuple[np.ndarray | bytes, int]]

    def decode(self, decoder: Decoder) -> int:
        """All of them from the beginning, as the node does; how many events."""
        decoder.reset()
        return sum(len(decoder.decode(data, base)) for data, base in self.data)


def decode(settings: Settings) -> Iterator[Row]:
    """Decoding, one thread, packet by packet; and faery's reader of the same EVT 3.0 as a file."""
    for packets in recorded(settings) if settings.recordings else synthetic():
        decoder = Decoder(packets.encoding, packets.width, packets.height)
        with tempfile.TemporaryDirectory() as folder:
            actions: dict[str, Callable[[], int]]
            actions = {"evlayerseg": partial(packets.decode, decoder)}
            if packets.encoding == "evt3" and (read := _faery_reader()):
                path = Path(folder) / "same.raw"
                header = f"% evt 3.0\n% geometry {packets.width}x{packets.height}\n% end\n"
                path.write_bytes(header.encode() + b"".join(bytes(d) for d, _ in packets.data))
                actions["faery"] = partial(read, path)
            counts = [action() for action in actions.values()]
            times = measure_in_turn(list(actions.values()), settings.seconds)
        size = sum(len(data) for data, _ in packets.data)
        for by, events, each in zip(actions, counts, times, strict=True):
            yield {
                "stream": packets.name,
                "encoding": packets.encoding,
                "by": by,
                "packets": len(packets.data),
                "events": events,
                "bytes_per_event": size / events if events else None,
                **summary(each, events),
                **ratio(each, times[0]),
            }


def synthetic() -> Iterator[Packets]:
    """Streams of 5 and 50 Mev/s in every encoding."""
    width, height = 640, 480
    for rate in (5.0, 50.0):
        scene = list(scenes.packets(width, height, rate, round(100 / rate)))
        for encoding in ENCODINGS:
            data = [(encode(encoding, e, int(e.t[0])), int(e.t[0])) for e in scene]
            yield Packets(f"synthetic {rate:g} Mev/s", encoding, width, height, data)


def recorded(settings: Settings) -> Iterator[Packets]:
    """The packets of the recordings that are to be measured."""
    for path in settings.recordings:
        with open_recording(path) as recording:
            size = recording.width, recording.height
            if path.suffix.lower() == ".raw":
                encoding, raw = read_raw(path)
                blocks = np.split(raw, range(RAW_BLOCK, len(raw), RAW_BLOCK))
                yield Packets(path.name, encoding, *size, [(block, 0) for block in blocks])
                continue
            packets = list(recording)
        encodings = {packet.encoding for packet in packets}
        if encodings - set(ENCODINGS) or len(encodings) != 1:
            raise InputError(
                f"{path} holds no encoded packets: expected a bag of EventPackets, or RAW."
            )
        data = [(packet.data, packet.time_base) for packet in packets]
        yield Packets(path.name, encodings.pop(), *size, data)


def _faery_reader() -> Callable[[Path], int] | None:
    try:
        import faery
    except ImportError:
        return None
    return lambda path: sum(map(len, faery.events_stream_from_file(path)))
