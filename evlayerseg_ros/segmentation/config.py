"""What the Segmenter can be told: one place for its settings and their defaults, the node's."""

from __future__ import annotations

from dataclasses import dataclass, field

CAMERA_MOTIONS = ("auto", "still", "imu")


@dataclass(frozen=True)
class PostprocessConfig:
    """What follows the network; each stage is a function that its flag switches off.

    Lengths in px are of a sensor 640 px wide.

    Attributes:
        propose: motions are proposed by contrast, beside those of the window before.
        memory: the network is told its own mask of the window before.
        still: before a camera at rest what is not noise moves, also where the network is silent.
        merge: what the background's motion explains as well is background.
        parallax: things at rest nearer or farther than the background are background, where two
            at different depths are seen at once, and for a second after that.
        split: parts of the mask that follow different motions are different objects.
        join: parts close to each other that one motion explains are one object.
        outline: a mask's border moves to the outline that its events draw.
        sharper: times as sharp as along the background's motion that an object must be along its
            own; sharpness of true objects is 1.05 and more.
        distinct: times as sharp as along a neighbour's motion that an object must be along its own
            to be another object.
        one_motion: px over the window: motions closer than that are one.
        apart: px over the window: motions closer than that do not show in sharpness.
        smallest: share of the image of the smallest object; 0.0003 are 92 px at 640x480.
        fewest: events of the smallest object.
        objects: how many at most at once.
        split_share: share of a part's area that a second motion must hold to be an object.
        overlap: share of the smaller mask in which an object and a track must agree to be the same.
        memory_ms: ms for which an object that is not seen keeps its id.
        events: of a window that motions are read from; more do not make them better.
    """

    propose: bool = True
    memory: bool = True
    still: bool = True
    merge: bool = True
    parallax: bool = True
    split: bool = True
    join: bool = True
    outline: bool = True
    sharper: float = 1.04
    distinct: float = 1.06
    one_motion: float = 0.75
    apart: float = 1.5
    smallest: float = 0.0003
    fewest: int = 12
    objects: int = 8
    split_share: float = 0.25
    overlap: float = 0.25
    memory_ms: float = 1000.0
    events: int = 6_000


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
        camera_motion: how the camera's own motion is known: "auto" (from the events), "still" (it
            rests: all that is not noise moves by itself) or "imu" (its turn is told with each
            window, the rest is from the events).
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
