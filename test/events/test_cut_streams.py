"""Streams cut anywhere, and noise: the same events come, none outside, and time never goes back."""

from __future__ import annotations

import os
import subprocess
import sys
from itertools import pairwise

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from test_codecs import WORD, raw_data, same

from evlayerseg_ros.events import Events
from evlayerseg_ros.events.codecs import Decoder


def sound_stream(encoding, rng, n=400):
    """Words of a sound stream of n events, as uint8."""
    t = np.cumsum(rng.integers(0, 3000, n))
    x, y, p = rng.integers(0, 700, n), rng.integers(0, 500, n), rng.integers(0, 2, n)
    if encoding == "mono":
        words = np.stack([t, x | y << 16 | p << 31], axis=1)
        return words.astype("<u4").view(np.uint8).ravel()
    if encoding == "libcaer":
        low = (t + (1 << 31) - 300_000) % (1 << 31)  # rolls over inside
        words = np.stack([1 | p << 1 | y << 2 | x << 17, low], axis=1)
        return words.astype("<u4").view(np.uint8).ravel()
    words = []
    for k in range(n):
        words += [t[k] >> 12, 0x1000 | t[k] & 0xFFF, 0x2000 | x[k]]
        if k % 3:
            words += [0x3000 | p[k] << 11 | y[k]]
        else:
            words += [0x4000 | p[k] << 11 | y[k], 0x5000 | rng.integers(256)]
    return np.array(words, "<u2").view(np.uint8)


def decode_cut(encoding, data, cuts):
    decoder = Decoder(encoding, 640, 480)
    word = WORD[encoding]
    marks = [0, *sorted(c % (len(data) // word + 1) * word for c in cuts), len(data)]
    parts = [decoder.decode(data[a:b], 10**18) for a, b in pairwise(marks)]
    return Events.concatenate(parts), decoder.now


@pytest.mark.parametrize("encoding", ["libcaer", "libcaer_cmp", "mono"])
@settings(max_examples=40, deadline=None)
@given(seed=st.integers(0, 2**32), cuts=st.lists(st.integers(0, 10**6), max_size=8))
def test_cut_anywhere_gives_the_same_events(encoding, seed, cuts):
    data = sound_stream(encoding, np.random.default_rng(seed))
    whole, now = decode_cut(encoding, data, [])
    cut, now_cut = decode_cut(encoding, data, cuts)
    assert len(whole) and same(whole, cut) and now == now_cut


@pytest.mark.parametrize("encoding", ["evt3", "evt2", "evt21"])
@settings(max_examples=60, deadline=None)
@given(data=st.binary(max_size=4000), cuts=st.lists(st.integers(0, 10**6), max_size=8))
def test_even_noise_cut_anywhere_gives_the_same_events(encoding, data, cuts):
    data = np.frombuffer(data[: len(data) // 8 * 8], np.uint8)
    whole, now = decode_cut(encoding, data, [])
    cut, now_cut = decode_cut(encoding, data, cuts)
    assert same(whole, cut) and now == now_cut


@settings(max_examples=20, deadline=None)
@given(cuts=st.lists(st.integers(0, 10**6), max_size=30))
def test_a_recording_cut_anywhere_gives_the_same_events(recordings, cuts):
    data = raw_data(recordings / "vendor/driving_evt3.raw")[:200_000]
    whole, _ = decode_cut("evt3", data, [])
    cut, _ = decode_cut("evt3", data, cuts)
    assert len(whole) > 10_000 and same(whole, cut)


@pytest.mark.slow
def test_compiled_loops_stay_inside_their_arrays(tmp_path):
    program = """
import numpy as np
from evlayerseg_ros.events.codecs import ENCODINGS, Decoder
rng = np.random.default_rng(0)
for encoding in ENCODINGS:
    for size in (0, 8, 16, 800, 80_000):
        decoder = Decoder(encoding, 300, 200)
        for _ in range(20):
            decoder.decode(rng.integers(0, 256, size, np.uint8), int(rng.integers(1 << 60)))
"""
    environment = {**os.environ, "NUMBA_BOUNDSCHECK": "1", "NUMBA_CACHE_DIR": str(tmp_path)}
    done = subprocess.run(
        [sys.executable, "-c", program], env=environment, capture_output=True, text=True
    )
    assert done.returncode == 0, done.stderr
