"""Recordings as the node sees them, a picture each: three moments, events by layer.

.venv/bin/python tools/gallery.py FOLDER_OR_FILE .. --out docs/gallery
"""

from pathlib import Path

import click
import cv2
import numpy as np

from evlayerseg_ros.outputs import annotate, outputs
from evlayerseg_ros.pipeline import Pipeline
from evlayerseg_ros.recordings.kinds import recordings_in
from evlayerseg_ros.recordings.readers import open_recording
from evlayerseg_ros.segmentation.segmentation import Segmentation

WIDTH = 320  # px of a moment
MOMENTS = 0.25, 0.5, 0.75  # of the recording's events
GAP = 4  # px
QUALITY = 50  # of 100


def picture(segmentation: Segmentation) -> np.ndarray:
    """uint8 [h, WIDTH, 3] RGB: a window's events by layer, its objects' numbers and speeds."""
    overlay = outputs.mask_overlay(segmentation.window, segmentation).data
    return annotate.with_objects(overlay, segmentation.objects, WIDTH / overlay.shape[1])


def moments(recording: Path) -> np.ndarray:
    """uint8 [h, w, 3] RGB: a recording's moments side by side, each window once."""
    seen, events = [], []
    with open_recording(recording) as packets:
        for segmentation, _, _ in Pipeline().run(packets):
            seen.append(picture(segmentation))
            events.append(len(segmentation.window.events))
    if not seen:
        raise click.ClickException(f"{recording} is shorter than a window of 33 ms.")
    places = np.searchsorted(np.cumsum(events), np.array(MOMENTS) * sum(events))
    edged = [
        cv2.copyMakeBorder(seen[k], 0, 0, 0, GAP, cv2.BORDER_CONSTANT, value=(255,) * 3)
        for k in np.unique(places)
    ]
    return np.hstack(edged)[:, :-GAP]


@click.command()
@click.argument("recordings", nargs=-1, required=True, type=click.Path(exists=True, path_type=Path))
@click.option("--out", required=True, type=click.Path(path_type=Path), help="Folder for them.")
def main(recordings: tuple[Path, ...], out: Path) -> None:
    out.mkdir(parents=True, exist_ok=True)
    for recording in (one for given in recordings for one in recordings_in(given)):
        bgr = cv2.cvtColor(moments(recording), cv2.COLOR_RGB2BGR)
        path = out / f"{recording.stem}.webp"
        cv2.imwrite(str(path), bgr, [cv2.IMWRITE_WEBP_QUALITY, QUALITY])
        click.echo(f"{path}: {path.stat().st_size / 1e3:.0f} kB")


if __name__ == "__main__":
    main()
