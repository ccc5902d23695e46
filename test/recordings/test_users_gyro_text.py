"""A gyro's samples as programs write them: units, separators, names, orders, bad lines."""

from __future__ import annotations

import numpy as np
import pytest

from evlayerseg_ros.errors import InputError
from evlayerseg_ros.recordings.imu import read_samples

TIMES = np.arange(200) * 5  # ms
RATES = (0.1, 0.2, 0.3)
US = TIMES * 1000
# As `rostopic echo -p` names what is in an Imu.
ROSTOPIC = ",field.".join([
    "%time", "header.seq", "header.stamp", "header.frame_id", *(f"orientation.{k}" for k in "xyzw"),
    *(f"orientation_covariance{k}" for k in range(9)),
    *(f"angular_velocity.{k}" for k in "xyz"),
    *(f"angular_velocity_covariance{k}" for k in range(9)),
    *(f"linear_acceleration.{k}" for k in "xyz"),
    *(f"linear_acceleration_covariance{k}" for k in range(9)),
])  # fmt: skip


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
        ("rostopic", ROSTOPIC, "{us}000,7,{us}000,imu,0,0,0,1" + 9 * ",-1.0" + ",0.1,0.2,0.3"
         + 9 * ",0.02" + ",9,8,7" + 9 * ",0.04", "taken as ns"),
        ("a header's stamp", "header.stamp.sec,header.stamp.nanosec,angular_velocity.x,"
         "angular_velocity.y,angular_velocity.z", "0,{us}000,0.1,0.2,0.3", ""),
        ("a stamp in two columns", "stamp_sec,stamp_nsec,wx,wy,wz", "0,{us}000,0.1,0.2,0.3", ""),
        ("seconds and microseconds", "t_usec,t_sec,wx,wy,wz", "{us},0,0.1,0.2,0.3", ""),
        ("whole times twice", "t_usec,t_sec,wx,wy,wz", "{us},{s},0.1,0.2,0.3", ""),
        ("time behind the rates", "gx,gy,gz,t_us", "0.1,0.2,0.3,{us}", "taken as us"),
        ("time by another name", "wx,wy,wz,elapsed", "0.1,0.2,0.3,{s}", ""),
        ("a number before the time", "seq,t_us,gx,gy,gz", "7,{us},0.1,0.2,0.3", "taken as us"),
        ("a gyro's temperature", "time,gyro_x,gyro_y,gyro_z,gyro_temp", "{s},0.1,0.2,0.3,31", ""),
        ("axes in another order", "t,gyro_z,gyro_y,gyro_x", "{s},0.3,0.2,0.1", ""),
        ("not in degrees", "# rates in rad/s (not deg/s)", "{s} 0.1 0.2 0.3", ""),
        ("names with spaces", "time,gyro x,gyro y,gyro z", "{s},0.1,0.2,0.3", ""),
        ("names with dashes", "time,gyro-x,gyro-y,gyro-z", "{s},0.1,0.2,0.3", ""),
        ("velocities", "t,angular velocity x,angular velocity y,angular velocity z",
         "{s},0.1,0.2,0.3", ""),
        ("an array of numbers", "time,ax,ay,az,gyro[0],gyro[1],gyro[2],temp",
         "{s},9,8,7,0.1,0.2,0.3,31", ""),
        ("numbers", "time,gyro_1,gyro_2,gyro_3,temp", "{s},0.1,0.2,0.3,31", ""),
        ("the gyro's axes in a list", "# time, gyro x, y, z, acceleration x, y, z",
         "{s},0.1,0.2,0.3,9,8,7", ""),
        ("names in a comment", "# columns: timestamp, accel x, accel y, accel z, gyro x, gyro y, "
         "gyro z", "{s},9,8,7,0.1,0.2,0.3", ""),
        ("rates beside their biases", "t,gyro_x,gyro_y,gyro_z,gyro_bias_x,gyro_bias_y,gyro_bias_z",
         "{s},0.1,0.2,0.3,9,8,7", ""),
        ("angles backwards", "t,yaw_rate,pitch_rate,roll_rate", "{s},0.3,0.2,0.1", ""),
        ("words between semicolons", "timestamp;name;gyro_x;gyro_y;gyro_z",
         "{s};imu;0.1;0.2;0.3", ""),
        ("words beside decimal commas", "name;t;gyro_x;gyro_y;gyro_z",
         "imu;{comma};0,1;0,2;0,3", ""),
        ("words between tabs", "t\tname\twx\twy\twz", "{s}\timu\t0.1\t0.2\t0.3", ""),
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


def test_a_sample_without_its_nanoseconds_is_left_out(tmp_path, capsys):
    path = tmp_path / "some.txt"
    lines = [f"0,{'nan' if ms == 500 else ms * 10**6},0.1,0.2,0.3" for ms in TIMES]
    path.write_text("\n".join(["sec,nsec,gx,gy,gz", *lines]))
    assert np.array_equal(read_samples(path)[0], TIMES[TIMES != 500] * 10**6)
    assert "1 of 200 samples are not finite and are left out" in capsys.readouterr().err


@pytest.mark.parametrize(
    "head",
    ["t,angle_x,angle_y,angle_z,ax,ay,az", "t,angular_acc_x,angular_acc_y,angular_acc_z",
     "t,rotation_x,rotation_y,rotation_z,rotation_w", "t,omega_dot_x,omega_dot_y,omega_dot_z",
     "t,rotational_acceleration_x,rotational_acceleration_y,rotational_acceleration_z",
     "t,gyro_bias_x,gyro_bias_y,gyro_bias_z", "# t ax ay az", "time,x,y,z,roll,pitch,yaw",
     "t,gyr1_x,gyr1_y,gyr1_z,gyr2_x,gyr2_y,gyr2_z"],
)  # fmt: skip
def test_angles_and_accelerations_are_no_turn_rates(tmp_path, head):
    path, more = tmp_path / "some.csv", ",0.1" * (head.count(",") or 3)
    path.write_text("\n".join([head, *(f"{ms / 1000}{more}" for ms in TIMES)]))
    with pytest.raises(InputError, match="names no turn rates about three axes"):
        read_samples(path)


def test_a_comment_on_degrees_says_nothing_of_rates(tmp_path):
    path = tmp_path / "some.txt"
    line = "\n".join(f"{ms / 1000} 0.1 0.2 0.3" for ms in TIMES)
    path.write_text(f"# the heading was 30 deg since the start\n{line}\n")
    np.testing.assert_allclose(read_samples(path)[1][0], RATES)


@pytest.mark.parametrize(
    "head",
    ["# rates in deg/s (not rad/s)\n# t a wx wy wz", "# not in rad/s but deg/s\nt,wx,wy,wz,a",
     "# rates in deg/s, times 0.01745 for rad/s\nt a wx wy wz",
     "# yaw in rad/s\nt,wx_dps,wy_dps,wz_dps,yaw", "t,wx [deg/s],wy,wz,yaw_ref [rad/s]",
     "yaw [rad/s],t,wx [deg/s],wy [deg/s],wz [deg/s]"],
)  # fmt: skip
def test_the_unit_of_rates_where_a_file_says_two(tmp_path, head):
    path, first = tmp_path / "some.csv", head.startswith("yaw")
    lines = (f"{7 if first else ms / 1000},{ms / 1000 if first else 10}" for ms in TIMES)
    path.write_text("\n".join([head, *(f"{line},10,10,10" for line in lines)]))
    assert np.allclose(read_samples(path)[1], np.deg2rad(10))


def of_comments(path, comments):
    """The rate about x, rad/s, that a file tells whose lines say 10."""
    lines = [f"{ms / 1000} 10 10 10" for ms in TIMES]
    path.write_text("\n".join([*(f"# {words}" for words in comments), *lines]))
    return read_samples(path)[1][0, 0]


@pytest.mark.parametrize(
    "comments, right",
    [
        (["deg/s converted to rad/s"], 10),
        (["converted from deg/s into rad/s"], 10),
        (["deg/s -> rad/s"], 10),
        (["rad/s to deg/s"], 0.174533),
        (["gyro range 2000 dps, values in rad/s"], 10),
        (["gyro range (dps): 2000", "x y z: rad/s"], 10),
        (["range of 2000 deg/s"], 10),
        (["noise 0.003 rad/s/sqrt(Hz)", "rates in deg/s"], 0.174533),
        (["noise density [rad/s/√Hz]: 0.003", "angular velocity, deg/s"], 0.174533),
        (["bias 0.01 rad/s, values: deg/s"], 0.174533),
        (["values in rad/s, convert to deg/s with 57.3"], 10),
        (["rad/s are usual", "units", "deg/s"], 0.174533),
    ],
)
def test_the_unit_of_rates_in_comments_that_name_more(tmp_path, capsys, comments, right):
    assert of_comments(tmp_path / "some.txt", comments) == pytest.approx(right, rel=1e-5)
    assert not capsys.readouterr().err


@pytest.mark.parametrize(
    "comments, right, taken, other, names",
    [
        (["rad/s or deg/s"], 10, "rad/s", "deg/s", "wx_deg_s, wy_deg_s, wz_deg_s"),
        (["in deg/s", "in rad/s"], 0.174533, "deg/s", "rad/s", "wx_rad_s, wy_rad_s, wz_rad_s"),
        (["measured in deg/s, converted to rad/s"], 10, "rad/s", "deg/s", "wx_deg_s"),
    ],
)
def test_comments_that_leave_the_unit_open_are_told(
    tmp_path, capsys, comments, right, taken, other, names
):
    path = tmp_path / "some.txt"
    assert of_comments(path, comments) == pytest.approx(right, rel=1e-5)
    told = capsys.readouterr().err
    assert f"turn rates are taken as {taken} and may be {other} (columns named {names}" in told
    unit = other.replace("/", "_")  # as it was told
    named = [f"t wx_{unit} wy_{unit} wz_{unit}", *comments]
    assert of_comments(path, named) == pytest.approx(10 if unit == "rad_s" else 0.174533, rel=1e-5)
    assert not capsys.readouterr().err


SAMPLES = np.random.default_rng(1).normal(0, 0.5, (400, 3))
SECONDS = np.sort(np.random.default_rng(2).random(400) * 2)


def samples(path, head, *columns):
    """Rates that are read from these columns, rad/s [N, 3]."""
    np.savetxt(path, np.column_stack(columns), "%.9g", ",", header=head, comments="")
    return read_samples(path)[1]


@pytest.mark.parametrize(
    "unit, scale",
    [("mdps", 180_000 / np.pi), ("mrad/s", 1000), ("rpm", 30 / np.pi), ("deg/s", 180 / np.pi)],
)
@pytest.mark.parametrize(
    "head",
    ["t,gx [{0}],gy [{0}],gz [{0}]", "t,gx,gy,gz\ns,{0},{0},{0}"],
    ids=["beside names", "below names"],
)
def test_rates_in_any_unit(tmp_path, head, unit, scale):
    found = samples(tmp_path / "gyro.csv", head.format(unit), SECONDS, SAMPLES * scale)
    assert np.allclose(found, SAMPLES, atol=1e-5)


@pytest.mark.parametrize("gravity, told", [(1, "rad/s and may be deg/s"), (9.81, "")])
@pytest.mark.parametrize("head", ["t,accX,accY,accZ,gyroX,gyroY,gyroZ", ""])
def test_accelerations_in_g_raise_a_doubt(tmp_path, capsys, head, gravity, told):
    """DV writes these in g, and rates in deg/s."""
    samples(tmp_path / "gyro.csv", head, SECONDS, np.full((400, 3), gravity / 3**0.5), SAMPLES)
    assert told in (said := capsys.readouterr().err) and bool(told) == bool(said)


@pytest.mark.parametrize("head", ["", "t,gx,gy,gz"])
def test_times_of_a_gyro_that_fall_are_refused(tmp_path, head):
    with pytest.raises(InputError, match="column 1, taken for times, falls, and column 4 rises"):
        samples(tmp_path / "gyro.csv", head, SAMPLES, SECONDS)
