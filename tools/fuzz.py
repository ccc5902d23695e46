"""make fuzz MINUTES=10: the properties of test/test_fuzz.py with ever new inputs, counted.

Rounds alternate: compiled code as it runs on a robot, and compiled with every index checked.
"""

from __future__ import annotations

import argparse
import os
import subprocess
import sys
import tempfile
import time
from collections import Counter
from pathlib import Path

ROOT = Path(__file__).parents[1]


def round_of(seed: int, scale: int, checked: bool) -> tuple[int, Counter[str]]:
    """One run of all properties in a process of its own, so that even a crash is only counted.

    Returns:
        Its exit status, negative for a signal, and how many inputs each property was given.
    """
    with tempfile.NamedTemporaryFile("r", suffix=".txt") as counts:
        environment = {
            **os.environ,
            "EVLAYERSEG_FUZZ": str(scale),
            "EVLAYERSEG_FUZZ_COUNTS": counts.name,
        }
        if checked:
            cache = Path(os.environ.get("NUMBA_CACHE_DIR", ROOT / ".venv/numba"))
            environment |= {
                "NUMBA_BOUNDSCHECK": "1",
                "NUMBA_CACHE_DIR": f"{cache}-checked",
            }
        done = subprocess.run(
            [
                *(sys.executable, "-m", "pytest", "-q", "-x", "-o", "timeout=0", "-p"),
                *("no:cacheprovider", f"--hypothesis-seed={seed}", "test/test_fuzz.py"),
            ],
            cwd=ROOT,
            env=environment,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
        )
        if done.returncode:
            print(done.stdout)
        lines = [line.rsplit(" ", 1) for line in counts.read().splitlines()]
    return done.returncode, Counter({name: int(n) for name, n in lines})


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--minutes", type=float, default=10.0)
    parser.add_argument("--scale", type=int, default=10, help="times the examples of make test")
    parser.add_argument("--seed", type=int, default=time.time_ns() % 10**6)
    options = parser.parse_args()
    begun, rounds, failed = time.monotonic(), 0, 0
    total: Counter[str] = Counter()
    checked_inputs = 0
    while rounds < 2 or time.monotonic() - begun < 60 * options.minutes:
        checked = rounds % 2 == 1
        seed = options.seed + rounds
        status, counts = round_of(seed, options.scale, checked)
        rounds, total = rounds + 1, total + counts
        checked_inputs += counts.total() if checked else 0
        print(
            f"round {rounds}, seed {seed}{', indices checked' if checked else ''}: "
            f"{counts.total()} inputs, {'sound' if status == 0 else f'FAILED with {status}'}"
        )
        failed += status != 0
        if status:
            break
    for name, n in total.most_common():
        print(f"{n:>12} {name}")
    minutes = (time.monotonic() - begun) / 60
    print(
        f"{total.total():>12} inputs in {minutes:.1f} min, {checked_inputs} of them with indices "
        f"checked; {failed or 'no'} failure{'s' if failed > 1 else ''}."
    )
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
