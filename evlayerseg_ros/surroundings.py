"""Where the package runs: folders, streams, memory, slow starts; what libraries raise or write."""

from __future__ import annotations

import contextlib
import ctypes
import errno
import os
import re
import sys
import tempfile
import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import IO, Any

from evlayerseg_ros.errors import InputError, MissingPackage

_PACKAGE = Path(__file__).parent
SLOW = (
    "This takes longer than usual: the first start after an installation compiles, up to some "
    "minutes (so does TensorRT with a new model), or the machine is busy."
)
USUAL = 4.0  # s that a start takes at most where everything has been compiled before


def prepare() -> None:
    """Makes up for what is missing around the process, and says so once.

    Numba and ROS get a folder to write to where theirs cannot be written, as where another user
    installed the package or there is no home folder. Streams that are closed are opened, settings
    with which numba does not work are dropped, and ONNX Runtime reports nothing.
    """
    _open_streams()
    threads = os.environ.get("NUMBA_NUM_THREADS", "1").strip()
    if not re.fullmatch(r"[+-]?\d+", threads):  # else numba tells it in twenty lines
        del os.environ["NUMBA_NUM_THREADS"]
        told = f"NUMBA_NUM_THREADS is {threads!r} and is not used: expected a whole number."
        print(f"evlayerseg: {told}\n" * bool(threads), end="", file=sys.stderr)
    if os.environ.pop("NUMBA_DISABLE_JIT", "0") not in ("", "0"):
        told = "NUMBA_DISABLE_JIT is not used: without compiled code a window would take minutes."
        print(f"evlayerseg: {told}", file=sys.stderr)
    # ONNX Runtime would report its use, and complain where there is no home to keep a number in.
    os.environ.setdefault("ORT_DISABLE_TELEMETRY", "1")
    caches = []
    if not _numba_can_write():
        folder = _own_folder("numba")
        if folder is None:
            _compile_without_cache()
            caches.append("compiled code is not kept")
        else:
            os.environ["NUMBA_CACHE_DIR"] = folder
            caches.append(f"compiled code is kept in {folder} (NUMBA_CACHE_DIR)")
    if not _ros_can_log() and (folder := _own_folder("log")) is not None:
        os.environ["ROS_LOG_DIR"] = folder
    if caches and not os.environ.get("EVLAYERSEG_TOLD"):
        os.environ["EVLAYERSEG_TOLD"] = "1"  # for the processes that this one starts
        print(f"evlayerseg: no writable cache: {caches[0]}.", file=sys.stderr)


def keep_freed_memory(every: bool = False) -> None:
    """Make glibc keep what images, voxel grids and tensors free, instead of returning it.

    Otherwise each large array is faulted in page by page anew: ten times the cost of filling it.

    Args:
        every: of any size, as training wants it; else of up to 32 MiB.
    """
    trim_threshold, mmap_threshold, mmap_max, arena_max = -1, -3, -4, -8  # names of malloc.h
    try:
        mallopt = ctypes.CDLL(None).mallopt
    except (OSError, AttributeError):
        return  # another C library
    mallopt(trim_threshold, (1 << 31) - 1 if every else 256 << 20)
    if every:
        mallopt(mmap_max, 0)
    else:
        mallopt(mmap_threshold, 32 << 20)  # the largest that glibc takes
        mallopt(arena_max, 1)  # else what each thread frees is kept for that thread


def give_back_memory() -> None:
    """Return what was freed, and kept by glibc, to the system. Takes some milliseconds."""
    with contextlib.suppress(OSError, AttributeError):  # another C library
        ctypes.CDLL(None).malloc_trim(0)


@contextlib.contextmanager
def told_if_slow(tell: Callable[[str], object]) -> Iterator[None]:
    """Says why it may be, if what is done inside takes long."""
    timer = threading.Timer(USUAL, tell, [SLOW])
    timer.daemon = True
    timer.start()
    try:
        yield
    finally:
        timer.cancel()


def _open_streams() -> None:
    """Lets a process whose streams are closed lose what it writes to them.

    Otherwise the next file that is opened takes the place of one, and libraries write into it.
    """
    for number, name in enumerate(("stdin", "stdout", "stderr")):
        try:
            os.fstat(number)
        except OSError:
            os.open(os.devnull, os.O_RDWR)  # the lowest number that is free is this one
        if getattr(sys, name) is None:
            mode = "r" if name == "stdin" else "w"
            setattr(sys, name, open(os.devnull, mode))  # noqa: SIM115


def lose_stdout() -> None:
    """Loses what stdout cannot take, as on a full disk: at its end Python would complain."""
    try:
        sys.stdout.flush()
    except OSError:
        os.dup2(os.open(os.devnull, os.O_WRONLY), 1)


def _writable(folder: Path) -> bool:
    """Whether a folder can be written, which is tried; it is made where it is missing."""
    try:
        folder.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryFile(dir=folder):
            return True
    except OSError:
        return False


def _numba_can_write() -> bool:
    if asked := os.environ.get("NUMBA_CACHE_DIR"):
        return _writable(Path(asked))
    home = os.path.expanduser("~/.cache")
    users = os.environ.get("XDG_CACHE_HOME") or home
    if os.path.isabs(users) and _writable(Path(users) / "numba"):
        return True
    rooms = [path for path in _PACKAGE.iterdir() if (path / "__init__.py").is_file()]
    return all(_writable(room / "__pycache__") for room in rooms)


def _ros_can_log() -> bool:
    said = os.environ.get("ROS_LOG_DIR") or os.environ.get("ROS_HOME")
    home = os.environ.get("HOME")  # ROS looks nowhere else
    return bool(said) or (bool(home) and _writable(Path(str(home)) / ".ros/log"))


def _own_folder(name: str) -> str | None:
    """A folder for temporary files that only this user can write; None if there is none."""
    try:
        folder = Path(tempfile.gettempdir()) / f"evlayerseg-{name}-{os.getuid()}"
        folder.mkdir(mode=0o700, exist_ok=True)
        found = folder.lstat()
        # What numba keeps is run when it is read: nobody else may have put it there.
        if found.st_uid == os.getuid() and not found.st_mode & 0o022 and folder.is_dir():
            return str(folder)
        return tempfile.mkdtemp(prefix="evlayerseg-")
    except OSError:
        return None


def _compile_without_cache() -> None:
    from numba.core.dispatcher import Dispatcher

    Dispatcher.enable_caching = lambda self: None


def compile_where_the_cache_fails() -> None:
    """Lets numba compile anew what its folder holds damaged, or cannot take: a disk was full."""
    from numba.core.caching import IndexDataCacheFile as File

    load, save = File.load, File.save

    def load_if_sound(file: Any, key: Any) -> Any:
        try:
            return load(file, key)
        except Exception:  # unpickling raises anything
            with contextlib.suppress(OSError):
                file.flush()
            return None

    def save_if_possible(file: Any, key: Any, data: Any) -> None:
        with contextlib.suppress(Exception):
            save(file, key, data)

    File.load, File.save = load_if_sound, save_if_possible


def sentence_of(error: BaseException) -> str | None:
    """What a person needs to know of an error that is no fault of this package; None if it is."""
    if isinstance(error, InputError):
        return str(error)
    if isinstance(error, ImportError):
        name = error.name or ""
        if name.split(".")[0] == _PACKAGE.name:
            return None
        if isinstance(error, ModuleNotFoundError) and name:
            return str(MissingPackage.of(name))
        return f"{name or 'A library'} cannot be loaded here: {first_line(error)}."
    if any(kind.__name__ == "NameValidationException" for kind in type(error).__mro__):  # rclpy's
        name = str(error).splitlines()[1].strip()
        return f"ROS takes no name such as {name}: expected words between single /."
    if isinstance(error, ValueError) and str(error).startswith("Number of threads"):  # numba's
        said = os.environ.get("NUMBA_NUM_THREADS", "")
        return f"NUMBA_NUM_THREADS is {said!r}: expected a whole number from 1 on."
    if "marshal data" in str(error):  # Python's
        return f"{_bytecode(error)} is damaged, as after a disk was full: delete it."
    if isinstance(error, MemoryError):
        return "There is not enough memory for this."
    if isinstance(error, OSError) and error.errno != errno.EPIPE:
        where = f" {error.filename}" if error.filename else ""
        return f"Cannot read or write{where}: {error.strerror or first_line(error)}."
    return None


@contextlib.contextmanager
def quiet_if_it_fails() -> Iterator[None]:
    """Holds back what libraries write to stderr; it is lost if an error is raised."""
    with os.fdopen(os.memfd_create("stderr"), "w+b") as file:  # needs no folder
        with _stderr_to(file):
            yield
        file.seek(0)
        with contextlib.suppress(OSError):  # a disk is full
            os.write(2, file.read())


@contextlib.contextmanager
def stderr_dropped() -> Iterator[None]:
    """Loses what libraries write to stderr, such as libpng about colours that nobody asked for."""
    with open(os.devnull, "wb") as nowhere, _stderr_to(nowhere):
        yield


@contextlib.contextmanager
def _stderr_to(file: IO[bytes]) -> Iterator[None]:
    sys.stderr.flush()
    kept = os.dup(2)
    os.dup2(file.fileno(), 2)
    try:
        yield
    finally:
        os.dup2(kept, 2)
        os.close(kept)


def _bytecode(error: BaseException) -> str:
    """The file of compiled Python that could not be read."""
    last = error.__traceback__
    while last and last.tb_next:
        last = last.tb_next
    path = last and last.tb_frame.f_locals.get("bytecode_path")
    return str(path or "A file in __pycache__")


def first_line(error: BaseException) -> str:
    """The first line of an error's text, without its full stop."""
    return (str(error).strip().splitlines() or [type(error).__name__])[0][:200].rstrip(" .:,")
