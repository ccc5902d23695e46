"""open_recording: any recording to packets, one after the other, in bounded memory."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Iterator
from pathlib import Path
from types import TracebackType

from evlayerseg_ros.errors import InputError
from evlayerseg_ros.events.types import Packet

# Events a packet for recordings that are not made of packets.
CHUNK = 1 << 17


class Recording(ABC):
    """A recording that was opened: a context manager to iterate over, again and again.

    Attributes:
        path: where it lies.
        kind: what it is, in a word or two.
        topic: the topic that is read, "" for files.
        width, height: sensor size in px.
        duration: seconds, None if only reading it all would tell.
        total: number of packets that iterating gives, None if only reading it all would tell.
    """

    kind = ""
    topic = ""
    width = 0
    height = 0
    duration: float | None = None
    total: int | None = None

    def __init__(self, path: Path) -> None:
        self.path = path

    def __enter__(self) -> Recording:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.close()

    def __iter__(self) -> Iterator[Packet]:
        """The packets from the first on; raises InputError where the recording is unsound."""
        try:
            yield from self._packets()
        except InputError as error:
            if str(self.path) in str(error):
                raise
            raise self.unreadable(error) from error
        except (KeyboardInterrupt, GeneratorExit, SystemExit):
            raise
        except BaseException as error:  # some readers panic
            raise self.unreadable(error) from error

    def unreadable(self, error: BaseException) -> InputError:
        """The sentence for an error inside a reader."""
        reason = " ".join(str(error).split()) or type(error).__name__
        return InputError(f"{self.path} cannot be read as {self.kind}: {reason[:200].rstrip('.')}.")

    @abstractmethod
    def _packets(self) -> Iterator[Packet]: ...

    def close(self) -> None:  # noqa: B027 - most readers hold no file open
        """Close the files; nothing to do by default."""


def open_recording(path: str | Path, topic: str | None = None) -> Recording:
    """Open a recording of any supported kind.

    Bags (rosbag2 folder, .mcap or .db3 file, ROS 1 .bag) with event_camera_msgs/EventPacket or
    dvs_msgs/EventArray; Prophesee .raw and .dat, iniVation .aedat4, .es; .h5 in the EV-LayerSegNet
    authors' layout and DSEC's; .npz with x, y, t, p, size; .txt with lines `t x y p` (s, px); a
    sequence of EVIMO or EVIMO2 in its npz format, a file or a folder.

    Args:
        path: file or folder.
        topic: of a bag, which topic to read; None if it has just one with events.

    Returns:
        A Recording, to be used in a `with` statement.

    Raises:
        InputError: missing, empty, of an unknown kind, unreadable, without events, or a bag with
            several event topics and no choice.
    """
    # Readers are imported on use: each needs a library that others do not.
    path = Path(path)
    if not path.exists():
        raise InputError(f"There is no recording at {path}.")
    if path.is_dir() and (path / "dataset_info.npz").exists():
        from evlayerseg_ros.recordings.evimo2 import Evimo2Recording

        return Evimo2Recording(path)
    if path.is_dir() and not (path / "metadata.yaml").exists():
        path = _only_recording_in(path)
    if path.is_file() and path.stat().st_size == 0:
        raise InputError(f"{path} is empty: expected a recording.")
    suffix = path.suffix.lower()
    if path.is_dir() or suffix in (".mcap", ".db3", ".bag"):
        from evlayerseg_ros.recordings.bags import BagRecording

        return BagRecording(path, topic)
    if suffix in (".raw", ".dat", ".aedat4", ".aedat", ".es"):
        from evlayerseg_ros.recordings.vendor import VendorRecording

        return VendorRecording(path)
    from evlayerseg_ros.recordings import evimo2, tables

    if evimo2.is_evimo(path):
        return evimo2.EvimoRecording(path)
    readers = {
        ".npz": tables.NpzRecording,
        ".txt": tables.TextRecording,
        ".h5": tables.HdfRecording,
        ".hdf5": tables.HdfRecording,
    }
    if suffix not in readers:
        raise InputError(
            f"{path} is of no known kind: expected a bag (folder, .mcap, .db3, .bag), .raw, .dat, "
            ".aedat4, .es, .h5, .npz or .txt."
        )
    return readers[suffix](path)


def _only_recording_in(folder: Path) -> Path:
    """The one recording that a folder without metadata.yaml holds."""
    found = [p for p in sorted(folder.iterdir()) if p.suffix.lower() in (".mcap", ".db3")]
    found = found or [p for p in (folder / "events.txt", folder / "events.h5") if p.exists()]
    if len(found) != 1:
        raise InputError(
            f"{folder} is no recording: expected a rosbag2 folder with a metadata.yaml, "
            "or a folder with one .mcap, .db3, events.txt or events.h5."
        )
    return found[0]
