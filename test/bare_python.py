"""A Python of its own, with hardly anything in its environment."""

from __future__ import annotations

import os
import subprocess
import sys

from root import ROOT

HIDE = """
import sys
class Hidden:
    def find_spec(self, name, path=None, target=None):
        if name.split(".")[0] == {module!r}:
            raise ModuleNotFoundError("No module named " + name, name=name)
sys.meta_path.insert(0, Hidden())
from evlayerseg_ros.cli import main
main()
"""


def numba_cache():
    return os.environ.get("NUMBA_CACHE_DIR", "/tmp/numba")


def run(code, *args, **environment):
    """A Python of its own, with nothing in its environment but this."""
    return subprocess.run(
        [sys.executable, "-c", code, *map(str, args)],
        env={"PYTHONPATH": str(ROOT), **environment},
        capture_output=True,
        text=True,
    )
