"""A gyro's samples as programs write them: units, separators, names, orders, bad lines."""

from __future__ import annotations

import numpy as np
import pytest

from evlayerseg_ros.recordings.imu import read_samples

TIMES = np.arange(200) * 5  # ms
RATES = (0.1, 0.2, 0.3)
US = TIMES * 1000


@pytest.mark.parametrize(
    "name, head, line, told",
    [
        ("us", "", "{us} 0.1 0.2 0.3", "taken as us"),
        ("ns", "", "{us}000 0.1 0.2 0.3", "taken as ns"),
        ("ms", "", "{ms} 0.1 0.2 0.3", "taken as ms"),
        ("semicolons", "t;x;y;z", "{s};0.1;0.2;0.3", ""),
        ("decimal commas", "", "{comma};0,1;0,2;0,3", ""),
        ("euroc", "#timestamp [ns],w_RS_S_x,w_RS_S_y,w_RS_S_z,a_RS_S_x,a_RS_S_y,a_RS_S_z",
         "{us}000,0.1,0.2,0.3,9,8,7", "taken as ns"),
        ("dv", "timestamp,accX,accY,accZ,gyroX,gyroY,gyroZ",
         "{us},9,8,7,0.1,0.2,0.3", "taken as us"),
        ("gyro first", "timestamp,gyroX,gyroY,gyroZ,accX,accY,accZ",
         "{us},0.1,0.2,0.3,9,8,7", "taken as us"),
        ("a byte-order mark", "\ufefft x y z", "{s} 0.1 0.2 0.3", ""),
    ],
)  # fmt: skip
def test_a_gyro_s_text_as_programs_write_it(tmp_path, capsys, name, head, line, told):
    rows = []
    for us in US.tolist():
        s = f"{us * 1e-6:.6f}"
        rows.append(line.format(us=us, ms=us // 1000, s=s, comma=s.replace(".", ",")))
    path = tmp_path / "gyro.csv"
    path.write_text("\n".join([head, *rows]), "utf-8")
    t, rates = read_samples(path)
    assert np.array_equal(t, TIMES * 10**6) and np.allclose(rates, RATES)
    said = capsys.readouterr().err
    assert told in said and bool(said) == bool(told)


def test_lines_that_are_no_samples_are_left_out_and_told(tmp_path, capsys):
    """Amid the others, and where the last one was cut off."""
    rows = [f"{us * 1e-6:.6f} 0.1 0.2 0.3" for us in US]
    rows[50], rows[-1] = "oops", rows[-1][:12]
    path = tmp_path / "gyro.txt"
    path.write_text("\n".join(rows))
    t, rates = read_samples(path)
    assert len(t) == 198 and np.allclose(rates, RATES)
    assert "2 of 200 lines are no samples and are left out" in capsys.readouterr().err
