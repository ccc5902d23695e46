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
        ("euroc's units", "#timestamp [ns],w_RS_S_x [rad s^-1],w_RS_S_y [rad s^-1],"
         "w_RS_S_z [rad s^-1],a_RS_S_x [m s^-2],a_RS_S_y [m s^-2],a_RS_S_z [m s^-2]",
         "{us}000,0.1,0.2,0.3,9,8,7", "taken as ns"),
        ("a temperature", "# timestamp(us) gx(rad/s) gy gz ax ay az temperature",
         "{us} 0.1 0.2 0.3 9 8 7 31.5", "taken as us"),
        ("rates amid others", "t,temp,ax,ay,az,wx,wy,wz,id", "{s},31,9,8,7,0.1,0.2,0.3,5", ""),
        ("uzh-fpv", "# id timestamp ang_vel_x ang_vel_y ang_vel_z lin_acc_x lin_acc_y lin_acc_z",
         "7 {s} 0.1 0.2 0.3 9 8 7", ""),
        ("jaer", "# sample: timestamp(us), ax(g), ay(g), az(g), temperature(C), rx(rad/s), "
         "ry(rad/s), rz(rad/s)", "{us},9,8,7,30,0.1,0.2,0.3", "taken as us"),
        ("rostopic", "%time,field.header.frame_id,field.angular_velocity.x,"
         "field.angular_velocity.y,field.angular_velocity.z,field.linear_acceleration.x",
         "{us}000,imu,0.1,0.2,0.3,9", "taken as ns"),
        ("seconds and nanoseconds", "sec,nsec,gx,gy,gz", "0,{us}000,0.1,0.2,0.3", ""),
        ("rates as angles", "t,roll_rate,pitch_rate,yaw_rate,ax,ay,az",
         "{s},0.1,0.2,0.3,9,8,7", ""),
        ("an index of pandas, time last", ",wx,wy,wz,t", "5,0.1,0.2,0.3,{s}", ""),
        ("prose", "# gyroscope and accelerometer of the camera", "{s} 9 8 7 0.1 0.2 0.3", ""),
        ("gravity", "", "{s} 0.1 0.2 0.3 0.1 9.8 0.2", "since they hold gravity"),
        ("comments", " # as it came", "{s} 0.1 0.2 0.3  # fine", ""),
        ("other comments", "// as it came", "{s}, 0.1, 0.2, 0.3 % fine", ""),
        ("degrees by name", "# t, x, y, z (deg s^-1)", "{s} 5.72957795 11.4591559 17.1887338", ""),
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


def test_rates_that_no_gyro_tells_are_degrees(tmp_path, capsys):
    rates = np.column_stack([TIMES * 1e-3, np.full((200, 3), (90, -45, 10))])
    np.savetxt(tmp_path / "gyro.txt", rates)
    assert np.allclose(read_samples(tmp_path / "gyro.txt")[1], np.deg2rad((90, -45, 10)))
    assert "its turn rates are taken as deg/s" in capsys.readouterr().err


@pytest.mark.parametrize("step", [0.6, 1.2])
def test_few_samples_a_second_are_no_others_in_ms(tmp_path, capsys, step):
    (tmp_path / "gyro.txt").write_text("".join(f"{k * step:.3f} 1 2 3\n" for k in range(9)))
    assert np.array_equal(read_samples(tmp_path / "gyro.txt")[0], np.arange(9) * round(step * 1e9))
    assert not capsys.readouterr().err


def test_a_sample_that_is_missing_is_no_rest(tmp_path, capsys):
    lines = [f"{ms / 1000},-,-,-" if ms % 3 else f"{ms / 1000},0.1,0.2,0.3" for ms in TIMES]
    path = tmp_path / "some.txt"
    path.write_text("\n".join(lines))
    _, rates = read_samples(path)
    np.testing.assert_allclose(rates, [RATES] * len(rates))
    assert "are left out" in capsys.readouterr().err


def test_a_comment_on_degrees_says_nothing_of_rates(tmp_path):
    path = tmp_path / "some.txt"
    line = "\n".join(f"{ms / 1000} 0.1 0.2 0.3" for ms in TIMES)
    path.write_text(f"# the heading was 30 deg since the start\n{line}\n")
    np.testing.assert_allclose(read_samples(path)[1][0], RATES)
