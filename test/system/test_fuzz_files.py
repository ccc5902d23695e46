"""Whatever a file or a model file brings: one sentence, or what is sound. See test/fuzzing.py."""

from __future__ import annotations

import shutil
import tempfile
import warnings
from pathlib import Path

import numpy as np
import pytest
from faulty import FAULTS, SIZE, some_events, tiny_model
from fuzzing import (
    STAMP,
    TURNS,
    examples,
    inputs,
    seeds,
    sound,
    told,
)
from hypothesis import given
from hypothesis import strategies as st

from evlayerseg_ros.errors import InputError
from evlayerseg_ros.events import Window
from evlayerseg_ros.events.stream import PacketStream
from evlayerseg_ros.events.window import WindowConfig
from evlayerseg_ros.outputs.outputs import OUTPUTS, Image
from evlayerseg_ros.pipeline import windows_of
from evlayerseg_ros.recordings.readers import open_recording
from evlayerseg_ros.segmentation.segmentation import Segmentation
from evlayerseg_ros.segmentation.segmenter import Segmenter


@pytest.fixture(scope="module")
def files(tmp_path_factory):
    from faulty_files import sound_files

    return Files(sound_files(tmp_path_factory.mktemp("sound")))


class Files(dict):
    """Bytes by suffix, which a report of a failure need not show."""

    def __repr__(self):
        return ", ".join(f"{suffix}: {len(data)} bytes" for suffix, data in self.items())


def read(path: Path, size: tuple[int, int] | None = None) -> None:
    """A file gives sound windows, or is refused in a sentence."""
    try:
        with open_recording(path, size=size) as recording:
            for window, _ in windows_of(recording, PacketStream(WindowConfig())):
                sound([window])
    except InputError as error:
        told(error)
        assert path.name in str(error) or "packet" in str(error)


@examples(120)
@given(data=st.data(), seed=seeds, kinds=st.lists(st.sampled_from(sorted(FAULTS)), max_size=3))
def test_recordings(files, tmp_path, data, seed, kinds):
    rng = np.random.default_rng(seed)
    suffix = data.draw(st.sampled_from(sorted(files)))
    content = files[suffix]
    for kind in kinds:
        content = FAULTS[kind](rng, content)
    path = tmp_path / f"some.{suffix}"
    path.write_bytes(content)
    inputs["files"] += 1
    read(path)


@examples(120)
@given(data=st.data(), seed=seeds, kinds=st.lists(st.sampled_from(sorted(FAULTS)), max_size=1))
def test_recordings_with_one_field_wrong(tmp_path, data, seed, kinds):
    from wrong_fields import KINDS

    rng = np.random.default_rng(seed)
    suffix = data.draw(st.sampled_from(sorted(KINDS)))
    for turn in range(min(TURNS, 3)):
        folder = Path(tempfile.mkdtemp(dir=tmp_path))
        path = folder / f"some.{suffix}"
        with np.errstate(all="ignore"), warnings.catch_warnings():
            warnings.simplefilter("ignore")
            KINDS[suffix](rng, path)
        if kinds and turn == 2:
            path.write_bytes(FAULTS[kinds[0]](rng, path.read_bytes()))
        inputs["files with one field wrong"] += 1
        read(path, SIZE if rng.random() < 0.3 else None)
        shutil.rmtree(folder)


@pytest.fixture(scope="module")
def model(tmp_path_factory):
    pytest.importorskip("onnx", reason="onnx is not installed")
    return tiny_model(tmp_path_factory.mktemp("model") / "tiny.onnx").read_bytes()


@examples(60)
@given(seed=seeds, kinds=st.lists(st.sampled_from(sorted(FAULTS)), max_size=2))
def test_models(model, tmp_path, seed, kinds):
    rng, path = np.random.default_rng(seed), tmp_path / "some.onnx"
    content = model
    for kind in kinds:
        content = FAULTS[kind](rng, content)
    path.write_bytes(content)
    inputs["model files"] += 1
    events = some_events()
    window = Window(events, 0, int(events.t[-1]), STAMP)
    try:
        result = Segmenter.load(path, "cpu", threads=1)(window)
    except InputError as error:
        told(error)
        return
    assert result.labels.shape == SIZE[::-1] and result.labels.max() < len(result.affine)
    for make in OUTPUTS.values():
        make(window, result)


@examples(60)
@given(seed=seeds, scale=st.sampled_from([0.0, 1.0, 1e3, 1e9, 1e38, 1e300, np.inf, np.nan]))
def test_outputs_of_wild_motions(seed, scale):
    rng, events = np.random.default_rng(seed), some_events()
    window = Window(events, 0, int(events.t[-1]), STAMP)
    labels = rng.integers(0, 3, SIZE[::-1], np.uint8)
    with np.errstate(all="ignore"):
        result = Segmentation(window, labels, rng.normal(size=(3, 2, 3)) * scale)
        inputs["motions"] += 1
        for make in OUTPUTS.values():
            output = make(window, result)
            if isinstance(output, Image):
                assert output.data.shape[:2] == SIZE[::-1]
