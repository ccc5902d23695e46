"""What the Segmenter can be told: one place for its settings and their defaults, the node's."""

from __future__ import annotations

from dataclasses import dataclass, field

PROVIDER_CHOICES = ("auto", "cpu", "openvino", "cuda", "tensorrt")
CAMERA_MOTIONS = ("auto", "still", "imu")
# What fields of SegmenterConfig mean, for the command line's help and the node's parameters.
TEXTS = {
    "model": "A model that comes with the package, by name, or the path of an ONNX file; default "
    "is layernet on a GPU, layernet-int8 on a CPU.",
    "provider": "What runs the network; auto takes the fastest that is there.",
    "threads": "CPU threads of the network; 0: one for OpenVINO, up to four for ONNX Runtime.",
    "refine": "Run the network again on events deblurred by its first answer: better masks and "
    "motions, about twice the time.",
    "track": "Begin with the motions found in the window before: about as good as refine, at no "
    "cost.",
}


@dataclass(frozen=True)
class PostprocessConfig:
    """What follows the network; each stage is a function that its flag switches off.

    Lengths in px are of a sensor 640 px wide.

    Attributes:
        propose: motions are proposed by contrast, beside those of the window before.
        memory: the network is told its own mask of the window before.
        still: with a camera at rest all but noise moves, even if the network finds nothing.
        merge: objects that the background's motion explains as well become background.
        parallax: things at rest nearer or farther than the background are background, where two
            at different depths are seen at once, and for a second after that.
        split: parts of the mask that follow different motions are different objects.
        join: parts close to each other that one motion explains are one object.
        outline: a mask's border moves to the outline that its events draw.
        sharper: least ratio of an object's sharpness along its own motion to that along the
            background's; true objects reach 1.05.
        distinct: the same to that along a neighbour's motion, for two objects instead of one.
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
        threads: that run the network on a CPU; 0 lets the package choose.
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
