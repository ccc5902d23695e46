"""What latency costs: the truth at an instant against the newest mask that was out by then.

While a window is segmented the scene moves on, so a robot acts on a mask of the past. The usual
figures do not show that: they compare each mask with the truth of its own window.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable, Iterator
from typing import NamedTuple

import numpy as np

from evlayerseg_ros.evaluation import metrics
from evlayerseg_ros.evaluation.scores import nan_mean
from evlayerseg_ros.evaluation.truth import Truth
from evlayerseg_ros.pipeline import MAX_WAIT_MS, Segmented
from evlayerseg_ros.segmentation.segmentation import Segmentation


class _Out(NamedTuple):
    ready: int  # ns, when it comes out
    segmentation: Segmentation


class Streaming:
    """Remembers when each mask was out, and judges by the truth those that were.

    A window's mask is out `latency` after the window's end. With no latency given, it takes as long
    as was measured, from when the one before is done; a window that would wait longer than the node
    lets it wait gives no mask.

    Args:
        latency: s, of every window; None: as measured.
    """

    def __init__(self, latency: float | None = None) -> None:
        self._latency = latency
        self._free = 0  # ns, when the window before is done
        self._outs: deque[_Out] = deque()

    def watch(self, answers: Iterable[Segmented]) -> Iterator[Segmented]:
        """Passes the answers on, and remembers them."""
        for answer in answers:
            if (ready := self._ready(answer)) is not None:
                self._outs.append(_Out(ready, answer.segmentation))
            yield answer

    def _ready(self, answer: Segmented) -> int | None:
        """When its mask is out, ns; None if the node would drop the window."""
        end = answer.segmentation.window.end
        if self._latency is not None:
            return end + round(self._latency * 1e9)
        begun = max(end, self._free)
        if begun - end > MAX_WAIT_MS * 1e6:
            return None
        self._free = begun + round(answer.seconds * 1e9)
        return self._free

    def newest(self, t: int) -> Segmentation | None:
        """The newest answer out at t (ns), None before the first; t must rise from call to call."""
        while len(self._outs) > 1 and self._outs[1].ready <= t:
            self._outs.popleft()
        out = self._outs[0] if self._outs else None
        return out.segmentation if out is not None and out.ready <= t else None

    def measures(self, truth: Truth, masks: range, own: Segmentation) -> dict[str, float]:
        """How good the masks that were out are at the true masks' times in one window.

        Args:
            truth: in sensor time.
            masks: indices of the true masks.
            own: of the window that they fall into; its pixels that saw an event count, as usual.

        Returns:
            stream_iou, stream_dr: of the newest mask that was out, as it was. carried_iou,
            carried_dr: of that mask carried along its motions to the true mask's time. same_iou,
            same_dr: of the window's own mask, for the same true masks. Means over true masks that
            show something; nothing if none was out yet.
        """
        seen = own.window.events.seen()
        each = []
        for i in masks:
            t, wanted = int(truth.t[i]), truth.mask(i)[seen] > 0
            newest = self.newest(t)
            if newest is None or not truth.mask(i).any():
                continue
            found = {
                "stream": newest.labels,
                "carried": newest.labels_at(t),
                "same": own.labels_at(t),
            }
            each.append(_judged({name: mask[seen] > 0 for name, mask in found.items()}, wanted))
        return {name: nan_mean(m[name] for m in each) for name in (each[0] if each else ())}


def _judged(found: dict[str, np.ndarray], wanted: np.ndarray) -> dict[str, float]:
    """IoU and detection of each mask, bool [n] at the pixels that saw an event."""
    judged = {}
    for name, mask in found.items():
        judged[f"{name}_iou"] = metrics.iou(mask, wanted)
        judged[f"{name}_dr"] = float(metrics.detected(mask, wanted))
    return judged
