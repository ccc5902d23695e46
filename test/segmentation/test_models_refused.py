"""Model files from elsewhere: each is refused with the reason, before anything is computed."""

from __future__ import annotations

import json
import os
import pickle
from dataclasses import replace

import numpy as np
import pytest

onnx = pytest.importorskip("onnx", reason="onnx is not installed")

from faulty import SIZE, some_events, tiny_info, tiny_model
from onnx import helper

from evlayerseg_ros.errors import InferenceError, InputError
from evlayerseg_ros.events import Window
from evlayerseg_ros.segmentation.model_file import METADATA_KEY
from evlayerseg_ros.segmentation.segmenter import Segmenter
from evlayerseg_ros.segmentation.session import LARGEST_MODEL


@pytest.fixture
def path(tmp_path):
    return tmp_path / "some.onnx"


def refused(path, match):
    with pytest.raises(InputError, match=match) as caught:
        Segmenter.load(path, "cpu", threads=1)
    text = str(caught.value)
    assert path.name in text and text.endswith(".") and "\n" not in text
    return text


def window():
    events = some_events()
    return Window(events, 0, int(events.t[-1]), 0)


def with_metadata(path, values):
    model = onnx.load(str(tiny_model(path)))
    del model.metadata_props[:]
    helper.set_model_props(model, values)
    onnx.save(model, str(path))


def test_a_tiny_model_of_our_form_runs(path):
    found = Segmenter.load(tiny_model(path, layers=3), "cpu", threads=1)(window())
    assert found.labels.shape == SIZE[::-1] and found.labels.max() <= 2
    assert found.affine.shape == (3, 2, 3)


def test_without_metadata(path):
    with_metadata(path, {})
    assert "evlayerseg export" in refused(path, "carries no 'evlayerseg' metadata")


@pytest.mark.parametrize(
    "text",
    ["", "{", "[]", "null", '{"format": 1}', '{"format": 1, "voxel": {"bins": 3}}', "[" * 100_000],
)
def test_with_metadata_that_cannot_be_read(path, text):
    with_metadata(path, {METADATA_KEY: text})
    refused(path, "metadata")


@pytest.mark.parametrize(
    "lie",
    [
        {"bins": 10**9}, {"bins": 0}, {"bins": 2.5}, {"bins": True}, {"multiple": 10**9},
        {"multiple": 0}, {"width": -1}, {"width": "wide"}, {"split": 1},
    ],
)  # fmt: skip
def test_with_metadata_that_would_take_any_memory(path, lie):
    info = tiny_info(**lie)
    with_metadata(path, {METADATA_KEY: info.to_json()})
    refused(path, "metadata")


def test_with_metadata_of_another_format(path):
    values = {**json.loads(tiny_info().to_json()), "format": 99}
    with_metadata(path, {METADATA_KEY: json.dumps(values)})
    refused(path, "another format; export it again")
    with_metadata(path, {METADATA_KEY: replace(tiny_info(), background="sky").to_json()})
    refused(path, "another format; export it again")


def test_with_another_input(path):
    refused(tiny_model(path, channels=7), r"expected voxel \[1, 3, H, W\]")


def test_with_other_outputs(path):
    refused(tiny_model(path, masks="logits"), r"\['logits', 'affine'\], expected")


def test_with_another_shape_of_motions(path):
    with pytest.raises(InferenceError, match=r"affine \(1, 2, 6\): expected .* \(1, 2, 2, 3\)\."):
        Segmenter.load(tiny_model(path, bad_affine=True), "cpu", threads=1)(window())


def test_with_other_layers_than_it_says(path):
    with pytest.raises(InferenceError, match=r"masks \(1, 2, .* expected \(1, 4, h, w\)"):
        Segmenter.load(tiny_model(path, info=tiny_info(4)), "cpu", threads=1)(window())


def test_that_fails_while_it_runs(path):
    """Inference raising is an InferenceError that names the model and what it ran on."""
    model = onnx.load(str(tiny_model(path)))
    model.graph.node[0].input[0] = "sized"
    odd = np.zeros((1, 3, 5, 7), np.float32)
    model.graph.initializer.append(onnx.numpy_helper.from_array(odd, "odd"))
    model.graph.node.insert(0, helper.make_node("Add", ["voxel", "odd"], ["sized"]))
    onnx.save(model, str(path))
    with pytest.raises(InferenceError, match=r"Model tiny failed on cpu: .*Add"):
        Segmenter.load(path, "cpu", threads=1)(window())


@pytest.mark.parametrize("location", ["../secret.bin", "/etc/passwd", "beside.bin"])
def test_whose_data_lie_in_another_file(tmp_path, path, location):
    """Not even beside it: a model is one file."""
    folder = tmp_path / "models"
    folder.mkdir()
    path = folder / "some.onnx"
    for file in (tmp_path / "secret.bin", folder / "beside.bin"):
        file.write_bytes(bytes(1000))
    model = onnx.load(str(tiny_model(path)))
    tensor = model.graph.initializer[0]
    tensor.ClearField("raw_data")
    tensor.data_location = onnx.TensorProto.EXTERNAL
    for key, value in (("location", location), ("offset", "0"), ("length", "24")):
        tensor.external_data.add(key=key, value=value)
    path.write_bytes(model.SerializeToString())
    refused(path, "cannot be loaded")


def test_that_is_too_large(path):
    """A sparse file of 1 GiB is refused by its size, not read."""
    tiny_model(path)
    with path.open("r+b") as file:
        file.truncate(1 << 30)
    assert path.stat().st_size > LARGEST_MODEL
    refused(path, "larger than 512 MiB")


@pytest.mark.parametrize("content", [b"", b"no model" * 99, b"PK\3\4" + bytes(500)])
def test_that_is_something_else(path, content):
    path.write_bytes(content)
    refused(path, "cannot be loaded|metadata")


class Exploit:
    """Unpickled, it would make a folder."""

    def __init__(self, at):
        self.at = str(at)

    def __reduce__(self):
        return os.mkdir, (self.at,)


@pytest.mark.parametrize("suffix", ["onnx", "pt"])
def test_nothing_is_unpickled(tmp_path, suffix):
    """Neither as a model nor as a checkpoint of training."""
    path, trace = tmp_path / f"some.{suffix}", tmp_path / "trace"
    path.write_bytes(pickle.dumps(Exploit(trace)))
    if suffix == "onnx":
        refused(path, "cannot be loaded")
    else:
        pytest.importorskip("torch", reason="torch is not installed")
        from evlayerseg_ros.network.export import load_checkpoint

        with pytest.raises(InputError, match=path.name):
            load_checkpoint(path)
    assert not trace.exists()


def test_a_folder_in_place_of_a_model(tmp_path):
    refused(tmp_path, "does not exist: expected an ONNX file")


def test_names_that_are_no_text(tmp_path):
    path = tiny_model(tmp_path / "some.onnx")
    path.write_bytes(path.read_bytes().replace(b"\x05voxel", b"\x05\x80oxel"))  # found by make fuzz
    with pytest.raises(InputError, match="names that are no text"):
        Segmenter.load(path, "cpu", threads=1)
