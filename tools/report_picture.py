"""The top of a report as a small picture for the docs, as a browser shows it.

evlayerseg evaluate SEQUENCES --protocol paper --report report
.venv/bin/python tools/report_picture.py report/index.html docs/evaluate.webp
"""

import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

import cv2

SIZE = (1250, 1280)  # px of the page shown
WIDTH = 800  # px of the picture


def main(page: Path, out: Path) -> None:
    browser = shutil.which("chromium") or shutil.which("chromium-browser")
    if browser is None:
        sys.exit("report_picture: needs chromium (apt install chromium)")
    with tempfile.TemporaryDirectory() as folder:
        shot = Path(folder) / "page.png"
        subprocess.run(
            [
                browser, "--headless", "--no-sandbox", "--disable-gpu", "--hide-scrollbars",
                "--disable-background-networking", f"--window-size={SIZE[0]},{SIZE[1]}",
                f"--screenshot={shot}", page.resolve().as_uri(),
            ],
            check=True, stderr=subprocess.DEVNULL,
        )  # fmt: skip
        picture = cv2.imread(str(shot))
    size = WIDTH, round(WIDTH * picture.shape[0] / picture.shape[1])
    picture = cv2.resize(picture, size, interpolation=cv2.INTER_AREA)
    cv2.imwrite(str(out), picture, [cv2.IMWRITE_WEBP_QUALITY, 75])


if __name__ == "__main__":
    main(Path(sys.argv[1]), Path(sys.argv[2]))
