"""What the Segmenter can be told: one place for its settings and their defaults, the node's."""

from __future__ import annotations

from dataclasses import dataclass, field

CAMERA_MOTIONS = ("auto", "still", "imu")


@dataclass(frozen=True)
class PostprocessConfig:
    """What follows the network; each stage is a function that its flag switches off.

    Attributes:
        merge: give a moving object back to the background where the background's motion explains
            its events as well.
        split: a label and a motion for each connected piece of what moves.
        outline: move a mask's border to the outline that its events draw.
        settle: a background whose motion makes its events hardly sharper is at rest.
        track: keep an object's id from window to window.
    """

    merge: bool = True
    split: bool = True
    outline: bool = True
    settle: bool = True
    track: bool = True


@dataclass(frozen=True)
class SegmenterConfig:
    """How a window is segmented; the defaults are the node's.

    Attributes:
        model: "default", the name of shipped weights, or an ONNX file.
        provider: what runs the network: auto, cpu, openvino, cuda or tensorrt.
        precision: fp32, or fp16 for TensorRT.
        threads: of ONNX Runtime on a CPU; 0 lets the package choose.
        refine: run the network a second time on events deblurred by its first answer.
        track: begin with the motions found in the window before.
        camera_motion: how the camera's own motion is known: "auto" (fitted to the events), "still"
            (it rests: all that is not noise moves by itself) or "imu" (its turn comes from a gyro).
        postprocess: what follows the network.
    """

    model: str = "default"
    provider: str = "auto"
    precision: str = "fp32"
    threads: int = 0
    refine: bool = False
    track: bool = True
    camera_motion: str = "auto"
    postprocess: PostprocessConfig = field(default_factory=PostprocessConfig)
