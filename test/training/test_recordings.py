"""Learning from recordings, without a label: the whole command, and what may go wrong."""

import threading
import time
from dataclasses import replace
from itertools import pairwise
from pathlib import Path

import numpy as np
import pytest
from called import done
from streams import save

torch = pytest.importorskip("torch", reason="training is an extra")


from evlayerseg_ros.errors import InputError
from evlayerseg_ros.segmentation.model_file import find_model
from evlayerseg_ros.segmentation.segmenter import Segmenter
from evlayerseg_ros.simulation.planar_scenes import random_scene
from evlayerseg_ros.simulation.simulator import simulate
from evlayerseg_ros.simulation.textures import TextureBank
from evlayerseg_ros.training import learner, recordings
from evlayerseg_ros.training.learn import Recorded, learn
from evlayerseg_ros.training.recordings import RUN, Runs, find_recordings, index, split, windows_in
from evlayerseg_ros.training.self_training import RunTeacher
from evlayerseg_ros.training.train import PRESETS, train

SMALL = replace(
    PRESETS["adapt"], steps=2, batch=2, lanes=1, validate=1, windows=2, first=2, reuse=2
)


@pytest.fixture(scope="module")
def simulated():
    """Events of a second in which something moves before a moving camera, and their labels."""
    rng = np.random.default_rng(3)
    return simulate(random_scene(rng, TextureBank(), "paper", duration=1.0), rng)


@pytest.fixture
def folder(tmp_path: Path, simulated) -> Path:
    """A folder with a recording, unlabelled."""
    (tmp_path / "drive/deep").mkdir(parents=True)
    save(tmp_path / "drive/deep/street.npz", simulated[0])
    return tmp_path / "drive"


@pytest.mark.timeout(900)
def test_the_whole_command(folder: Path, tmp_path: Path, monkeypatch) -> None:
    (folder / "broken.npz").write_bytes(b"no recording")
    (folder / "notes.md").write_text("not a recording at all")
    monkeypatch.setitem(PRESETS, "adapt", SMALL)
    out = tmp_path / "mine"
    result = done("train", out, "--recordings", folder, "--init", "default")
    assert "broken.npz" in result.output and "left out" in result.output
    assert result.output.strip().endswith("model.onnx")
    assert "street.npz" in result.output and "fwl after" in result.output
    assert "data:image/webp" in (out / "report.html").read_text()
    assert Segmenter.load(out / "model.onnx").info.training["data"]["recordings"] == 1
    assert (out / "before.onnx").exists()


@pytest.mark.timeout(900)
def test_it_resumes_as_if_it_had_never_stopped(folder: Path, tmp_path: Path, monkeypatch) -> None:
    few = {"steps": 4, "batch": 2, "lanes": 1, "validate": 4, "windows": 1, "first": 2}
    settings = replace(PRESETS["smoke"], **few, teacher="default")
    recorded = Recorded([folder], mix=0.0)
    straight = learn(tmp_path / "straight", settings, recorded, [], [])
    real = learner.Learner.learn

    def interrupted(self, batch):
        if self.step == 2:
            raise KeyboardInterrupt
        return real(self, batch)

    monkeypatch.setattr(learner.Learner, "learn", interrupted)
    with pytest.raises(KeyboardInterrupt):
        learn(tmp_path / "cut", settings, recorded, [], [])
    monkeypatch.undo()
    resumed = learn(tmp_path / "cut", settings, recorded, [], [], resume=True)
    ours, theirs = (
        torch.load(p.with_name("checkpoint.pt"), weights_only=True) for p in (resumed, straight)
    )
    assert ours["step"] == theirs["step"] == 4
    for name, value in theirs["average"].items():
        torch.testing.assert_close(ours["average"][name], value, atol=1e-6, rtol=1e-5)


def test_bad_recordings_are_named_and_the_others_used(folder: Path, simulated) -> None:
    events = simulated[0]
    (folder / "empty.npz").touch()
    save(folder / "short.npz", events[: len(events) // 50])
    late = events[len(events) // 2 :]
    rows = [f"{t * 1e-9:.6f} {x} {y} {p}" for x, y, t, p in zip(late.x, late.y, late.t, late.p)]
    (folder / "nonsense.txt").write_text("\n".join(rows[:5000]) + "\n0.1 what\n")
    told: list[str] = []
    sources = index(find_recordings([folder]), told.append)
    assert [source.path.name for source in sources] == ["street.npz"]
    for name in ("empty.npz", "short.npz", "nonsense.txt"):
        assert sum(name in sentence and "left out" in sentence for sentence in told) == 1
    with pytest.raises(InputError, match="no recording to learn from"):
        index([folder / "empty.npz"], told.append)
    with pytest.raises(InputError, match="no recording at"):
        find_recordings([folder / "nowhere"])


def test_a_file_that_is_still_written_is_left_out(folder: Path, monkeypatch) -> None:
    path = folder / "deep/street.npz"
    begun = threading.Event()
    real = recordings._count

    def count_while_it_grows(*args):
        begun.set()
        return real(*args)

    def grow():
        begun.wait()
        with path.open("ab") as file:
            for _ in range(20):
                file.write(b"0" * 100)
                file.flush()
                time.sleep(0.02)

    monkeypatch.setattr(recordings, "_count", count_while_it_grows)
    writer = threading.Thread(target=grow)
    writer.start()
    told: list[str] = []
    with pytest.raises(InputError):
        index([path], told.append)
    writer.join()
    assert any("still being written" in sentence for sentence in told)


def test_runs_come_from_everywhere_and_go_on_anywhere(folder: Path, simulated) -> None:
    save(folder / "second.npz", simulated[0])
    sources = index(find_recordings([folder]), print)
    assert [len(source) for source in sources] == [len(list(windows_in(s.path))) for s in sources]
    runs = Runs(sources)
    first = [next(drawn) for drawn in [runs.drawn(0)] for _ in range(2 * runs.a_pass)]
    assert {len(run) for run in first} == {RUN}
    assert all(a.end <= b.end for run in first for a, b in pairwise(run))
    assert len({run[0].start for run in first}) > 2
    again = next(runs.drawn(0, 3))
    np.testing.assert_array_equal(again[0].events.t, first[3][0].events.t)
    learnt, held = split(sources, 0.2)
    assert all(a.last == b.first for a, b in zip(learnt, held))


def test_the_teacher_is_right_where_it_is_sure(folder: Path, simulated) -> None:
    events, truth = simulated
    windows = list(windows_in(folder / "deep/street.npz"))[6 : 6 + RUN]
    right = wrong = 0
    for answer in RunTeacher(find_model("default"))(windows):
        window = answer.found.window
        begin = int(np.searchsorted(events.t, window.events.t[0]))
        late = slice(len(window.events) * 3 // 4, None)  # the mask shows the window's end
        part = window.events[late]
        moves = truth[begin : begin + len(window.events)][late] > 0
        sure = answer.sure[part.y, part.x]
        says = answer.found.labels[part.y, part.x] > 0
        right += int((says == moves)[sure].sum())
        wrong += int((says != moves)[sure].sum())
    assert right > 10 * wrong


def test_a_full_disk_is_told_in_a_sentence(tmp_path: Path, monkeypatch) -> None:
    def full(*args):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(learner.torch, "save", full)
    tiny = replace(PRESETS["smoke"], steps=1, batch=2, lanes=1, validate=1, windows=1, first=1)
    with pytest.raises(InputError, match=r"cannot be written at step 1 \(No space left"):
        train(tmp_path, tiny, [], [])
    assert not list(tmp_path.glob("*.tmp"))


def test_links_that_lead_back_and_pipes_are_passed_over(folder: Path, tmp_path: Path) -> None:
    (folder / "deep/again").symlink_to(folder)
    (folder / "gone.mcap").symlink_to(tmp_path / "nowhere.mcap")
    found = [path.name for path in find_recordings([folder])]
    assert found.count("street.npz") == 1
