"""open_recording: any recording to packets, one after the other, in bounded memory."""

from __future__ import annotations

import importlib
import os
import sys
from abc import ABC, abstractmethod
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

import numpy as np

from evlayerseg_ros.errors import InputError, MissingPackage
from evlayerseg_ros.events.clean import clean
from evlayerseg_ros.events.types import Events, Packet, check_size
from evlayerseg_ros.interrupts import is_interrupt
from evlayerseg_ros.recordings import sensors
from evlayerseg_ros.recordings.kinds import reader_of, recording_at
from evlayerseg_ros.recordings.rows import Columns, Rows
from evlayerseg_ros.recordings.seams import ordered
from evlayerseg_ros.recordings.units import unit_of

# Events of a packet, where a recording is not made of packets.
CHUNK = 1 << 17
# A table whose first chunk has more parts than this, of fewer events each, is not sorted by time.
_PARTS, _EVENTS = 16, 1000


class Recording(ABC):
    """An open recording: a context manager, to be iterated over as often as one likes.

    Attributes:
        path: where it lies.
        kind: what it is, in a word or two.
        topic: the topic or stream that is read, "" for files with one camera.
        topics: all that a rosbag2 has.
        width, height: sensor size in px.
        size: (width, height) that was asked for, None: what the recording says.
        total: number of its packets, None if only reading it all would tell.
        note: a sentence on what was assumed since the file does not say it, "" if nothing was.
    """

    kind = ""
    topic = ""
    topics: tuple[str, ...] = ()
    width = 0
    height = 0
    total: int | None = None
    note = ""

    def __init__(self, path: Path, size: tuple[int, int] | None = None) -> None:
        self.path, self.size = path, size
        if size is not None:
            check_size(*size)
            self.width, self.height = size

    def __enter__(self) -> Recording:
        return self

    def __exit__(self, *error: object) -> None:
        self.close()

    def __iter__(self) -> Iterator[Packet]:
        """The packets from the first on.

        Where reading breaks off, the packets before stay valid, and a Packet.unreadable comes last.

        Raises:
            InputError: not one packet could be read.
        """
        some = False
        try:
            for packet in self._packets():
                some = some or not packet.fault
                yield packet
        except (GeneratorExit, SystemExit):
            raise
        except BaseException as error:  # some readers panic
            if is_interrupt(error):
                raise
            if not some:
                raise self._as_input_error(error) from error
            told = str(error) if isinstance(error, InputError) else "it is cut off or damaged."
            where = "" if str(self.path) in told else f"{self.path} broke off: "
            yield Packet.unreadable(f"{where}{told}", self.topic)

    def _as_input_error(self, error: BaseException) -> InputError:
        """The sentence for an error while reading: ours as it is, a library's by its kind."""
        if isinstance(error, InputError) and str(self.path) in str(error):
            return error
        if isinstance(error, MissingPackage):
            return MissingPackage(f"{self.path}: {error}")
        if isinstance(error, InputError):
            return type(error)(f"{self.path} cannot be read as {self.kind}: {str(error)[:-1]}.")
        if isinstance(error, OSError) and error.errno is not None and error.strerror:
            return InputError(f"{self.path} cannot be read: {error.strerror}.")
        if isinstance(error, MemoryError):
            return InputError(f"{self.path} asks for more memory than there is: it is damaged.")
        return InputError(
            f"{self.path} cannot be read as {self.kind}: it is cut off, damaged or something else."
        )

    def assume_size(self, size: tuple[int, int]) -> None:
        """Takes a size that the file does not say, and notes that."""
        self.width, self.height = size
        self.notice(f"a sensor of {size[0]}x{size[1]} pixels is assumed (--size WxH says another)")

    def take_size(self, said: tuple[int, int], x: np.ndarray, y: np.ndarray) -> None:
        """Takes a size that the file says.

        Width and height are exchanged, which is noted, where the events show or hint it; see
        sensors.turned.

        Args:
            said: width and height, px.
            x, y: px, of some events.
        """
        try:
            check_size(*said)
        except InputError as error:
            raise self._as_input_error(error) from error
        self.width, self.height = sensors.turned(said, x, y)
        if (self.width, self.height) != said:
            self.notice(
                f"it says {said[0]}x{said[1]} pixels, and is taken as {self.width}x{self.height}"
            )

    def notice(self, what: str) -> None:
        """Adds to the note what was assumed, one clause; "" adds nothing."""
        if not what:
            return
        begun = self.note[:-1] if self.note else str(self.path)
        self.note = f"{begun}{', and' if self.note else ':'} {what}."

    def tell(self) -> None:
        """Prints the note, for the person at the terminal."""
        if self.note:
            print(f"evlayerseg: {self.note}", file=sys.stderr)

    def only_camera(self, topic: str | None, there: tuple[str, ...] = ()) -> None:
        """Refuses a topic other than those there; a file of one camera has none."""
        if topic not in (None, "", *there):
            raise InputError(
                f"{self.path} has no topic {topic}: {self.kind} holds the events of one camera."
            )

    @abstractmethod
    def _packets(self) -> Iterator[Packet]:
        """The packets; may raise anything."""

    def close(self) -> None:
        """Closes the file; `with` does so, too."""
        return None


class Table(Recording):
    """A recording of plain columns, read in chunks; subclasses give _columns() and the size."""

    _unit = "ns"  # of its times, of units.UNITS
    _zero = 0  # time (ns) of a row of zeros
    _first = 0  # the number of the first column and row of the sensor

    def find_size(
        self,
        x: np.ndarray,
        y: np.ndarray,
        stated: Callable[[np.ndarray, np.ndarray], tuple[int, int] | None] = lambda x, y: None,
    ) -> None:
        """Takes the size that was asked for or is stated, else the smallest that holds the events.

        It also sees whether x and y count from 1.

        Args:
            x, y: px, of some events.
            stated: the size that the file states; given x and y that count from 0.

        Raises:
            InputError: there are no events, or their x and y are no px.
        """
        known = np.isfinite(x) & np.isfinite(y)
        x, y = x[known], y[known]
        if not len(x):
            raise InputError(f"{self.path} holds no events: expected {self.kind}.")
        if fault := sensors.no_px(x, y, self.size or stated(x, y)):
            raise InputError(f"{self.path}: {fault}: expected px.")
        for first in (1, 0):
            from_0 = x - first, y - first
            found = self.size or stated(*from_0)
            size = sensors.turned(found or sensors.smallest(*from_0), *from_0)
            if not first or sensors.counts_from_1(x, y, size, found is not None):
                break
        if first:
            self._first = 1
            self.notice("its x and y are taken to count from 1")
        if not found:
            self.assume_size(size)
        elif not self.size:
            self.take_size(found, *from_0)

    def find_unit(
        self, times: Sequence[np.ndarray], usual: str, total: int, trust: float, said: str,
        documented: str,
    ) -> None:  # fmt: skip
        """Takes the unit of its times, which is noted unless it is documented; see unit_of."""
        size = (self.width, self.height)
        unit = unit_of(times, size, usual, self.path, total, trust, said)
        self.notice(unit.told(documented))
        self._unit = unit.name

    @abstractmethod
    def _columns(self) -> Iterator[Columns]:
        """x, y (px), t (ns), p, a chunk at a time, as they lie in the file."""

    def _packets(self) -> Iterator[Packet]:
        last = None  # time of the last event
        outside = strays = 0
        rows = Rows(self._zero, self._first)
        for x, y, t, p in ordered(self._columns, rows.sound):
            parts = clean(x, y, t, p, self.width, self.height, last)
            if last is None and len(parts) > max(_PARTS, len(t) // _EVENTS):
                raise InputError(
                    f"{self.path}: the times of its events go back {len(parts) - 1} times: "
                    "sort them by time."
                )
            for part in parts:
                outside, strays = outside + part.outside, strays + part.strays
                if not len(part.events):
                    continue
                last = int(part.events.t[-1])
                yield Packet.of_events(part.events, outside=outside, strays=strays, late=part.late)
                outside = strays = 0
        if last is None and outside:
            raise InputError(
                f"{self.path}: none of its {outside} events lies on a sensor of "
                f"{self.width}x{self.height}; expected its size."
            )
        if last is None:
            raise InputError(f"{self.path} holds no events: expected {self.kind}.")
        if outside or strays:
            none = Events.empty(self.width, self.height)
            yield Packet.of_events(none, last, outside=outside, strays=strays)
        if rows.zeros:
            raise InputError(f"{self.path}: {rows.zeros} of its rows are zeros, and no events.")

    def _set_length(self, n: int) -> None:
        if n == 0:
            raise InputError(f"{self.path} holds no events.")
        self.total = -(-n // CHUNK)


def open_recording(
    path: str | Path, topic: str | None = None, size: tuple[int, int] | None = None
) -> Recording:
    """Open a recording of any supported kind.

    Bags (rosbag2 folder, .mcap or .db3 file, also .zstd, ROS 1 .bag) with EventPacket or one of the
    EventArrays; Prophesee .raw and .dat; iniVation .aedat4 and .aedat (2.0, 3.1); .es; .h5 in
    the EV-LayerSegNet authors' layout, DSEC's and v2e's; .npz with x, y, t, p, size; .npy or .npz
    with one table; MATLAB's .mat; .txt, .csv and .tsv with lines `t x y p`; N-MNIST's .bin; a
    sequence of EVIMO or EVIMO2 in its npz format, a file or a folder. docs/replay.md says more.

    Args:
        path: file or folder.
        topic: which topic of a bag, stream of an AEDAT file, or events of an HDF5 file, of npz or
            of MATLAB; None if there is just one with events.
        size: (width, height) of the sensor in px, whatever the recording says; None: what it says,
            or implies, or what is assumed and told in `note`.

    Returns:
        A Recording, to be used in a `with` statement.

    Raises:
        InputError: missing, empty, of an unknown kind, unreadable, without events, or with several
            cameras and no choice.
    """
    try:
        return _opened(Path(path), topic, size)
    except OSError as error:  # it may not be read, or its disk fails
        raise InputError(f"{path} cannot be read: {error.strerror or error}.") from error


def _opened(path: Path, topic: str | None, size: tuple[int, int] | None) -> Recording:
    if not path.exists():
        if path.is_symlink():
            raise InputError(f"{path} is a link to {os.readlink(path)}, which is not there.")
        raise InputError(f"There is no recording at {path}.")
    path = recording_at(path)
    if not (path.is_file() or path.is_dir()):
        raise InputError(f"{path} is a pipe, a socket or a device: expected a file.")
    if path.is_file() and path.stat().st_size == 0:
        raise InputError(f"{path} is empty: expected a recording.")
    name, choices = reader_of(path)
    module, reader = name.split(":")
    found = getattr(importlib.import_module(f"evlayerseg_ros.recordings.{module}"), reader)
    recording: Recording = found(path, topic, size) if choices else found(path, size)
    if not choices:
        recording.only_camera(topic)
    return recording
