#!/usr/bin/env bash
# Makes the environment of this checkout: [ROS=kilted] tools/setup_venv.sh VENV PYTHON [EXTRA]
#
# VENV becomes an ament prefix like colcon's: packages pinned by constraints.txt, this package (editable,
# so that the tree is what runs), and, where no ROS is sourced, ROS 2 from wheels and type support
# for the messages in interfaces/. With a sourced ROS the venv sees that ROS and its messages.
set -euo pipefail
cd "$(dirname "$0")/.."
venv=$1 python=$2 extra=${3:-}
here=$PWD

fail() { echo "setup: $*" >&2; exit 1; }

can() { "$1" -c "$2" >/dev/null 2>&1; }

command -v "$python" >/dev/null || fail "$python is missing: install Python 3.10 to 3.13, or name one with PYTHON=."
can "$python" 'import sys; assert (3, 10) <= sys.version_info < (3, 14)' ||
    fail "$("$python" --version) does not do: Python 3.10 to 3.13 is needed; name one with PYTHON=."
can "$python" 'import venv, ensurepip' ||
    fail "Python's venv module is missing: install the system package python3-venv."

if can "$python" 'import sys, rclpy; assert sys.prefix == sys.base_prefix'; then ros=system; else ros=wheels; fi
constraints=$venv/constraints.txt
mkdir -p "$venv"

if [ $ros = system ]; then
    for package in event_camera_msgs vision_msgs; do
        can "$python" "import $package.msg" ||
            fail "$package is missing: install the package ros-${ROS_DISTRO:-DISTRO}-${package//_/-}."
    done
    # ROS' own messages are compiled for the system's NumPy: stay with its major version.
    major=$("$python" -c 'import numpy; print(int(numpy.__version__.split(".")[0]) + 1)')
    sed "s/^numpy==.*/numpy<$major/" constraints.txt >"$constraints"
else
    [ -z "${ROS_DISTRO:-}" ] ||
        fail "ROS $ROS_DISTRO is sourced, but $python cannot import rclpy: use the Python of that ROS, or a shell without it."
    for tool in cmake g++ make; do
        command -v $tool >/dev/null || fail "$tool is missing: install the system package $tool."
    done
    can "$python" 'import os, sysconfig; assert os.path.exists(sysconfig.get_path("include") + "/Python.h")' ||
        fail "Python's headers are missing: install the system package python3-dev."
    case ${ROS:-jazzy} in
        jazzy) wheels=ros && cp constraints.txt "$constraints" ;;
        kilted) wheels=kilted && { grep -v ^ros- constraints.txt; cat constraints-kilted.txt; } >"$constraints" ;;
        *) fail "There are no wheels of ROS $ROS: jazzy or kilted is expected." ;;
    esac
fi

if [ ! -x "$venv/bin/pip" ]; then
    echo "setup: making $venv with $("$python" --version), ROS from $ros"
    if [ $ros = system ]; then
        "$python" -m venv --system-site-packages "$venv"
    else
        "$python" -m venv "$venv"
    fi
fi
bin=$here/$venv/bin
[ "${venv#/}" = "$venv" ] || bin=$venv/bin
prefix=${bin%/bin}
site=$("$bin/python" -c 'import sysconfig; print(sysconfig.get_path("purelib"))')

# What a sourced setup.bash does for a colcon workspace: this prefix is where packages are looked up.
cat >"$site/evlayerseg_prefix.pth" <<'EOF'
import os, sys; p = os.environ.get("AMENT_PREFIX_PATH", "").split(os.pathsep); sys.prefix in p or os.environ.update(AMENT_PREFIX_PATH=os.pathsep.join([*filter(None, p), sys.prefix]))
EOF

extras=$([ $ros = wheels ] && echo $wheels || true)
extras=$(echo "$extras $extra" | xargs | tr ' ' ',')
echo "setup: installing packages${extras:+ [$extras]}"
pip() { "$bin/python" -m pip --disable-pip-version-check -qq "$@"; }
pip install -c "$constraints" setuptools
pip install -c "$constraints" --no-build-isolation -e ".${extras:+[$extras]}"

# The rest of an ament prefix, which pip leaves out of editable installs: links into the tree.
share=$prefix/share/evlayerseg_ros
rm -rf "$share" "$prefix/lib/evlayerseg_ros"
mkdir -p "$share"/{launch,config,rviz} "$prefix/lib/evlayerseg_ros" "$prefix/share/ament_index/resource_index/packages"
ln -sfn "$here/resource/evlayerseg_ros" "$prefix/share/ament_index/resource_index/packages/evlayerseg_ros"
for file in package.xml launch/*.py config/* rviz/*; do ln -s "$here/$file" "$share/$file"; done
"$bin/python" - "$prefix" <<'EOF'
import sys
from importlib.metadata import distribution
from pathlib import Path

prefix = Path(sys.argv[1])
for script in distribution("evlayerseg_ros").entry_points.select(group="console_scripts"):
    link = prefix / "lib/evlayerseg_ros" / script.name
    link.symlink_to(prefix / "bin" / script.name)
EOF

if [ $ros = wheels ]; then
    # The wheels name the Python of the machine that built them.
    include=$("$bin/python" -c 'import sysconfig; print(sysconfig.get_path("include"))')
    numpy=$("$bin/python" -c 'import numpy; print(numpy.get_include())')
    sed -i -E "s#/opt/python/[^;\"]*/numpy/[a-z_]*/?core/include#$numpy#g; s#/opt/python/[^;\"]*/include/python[0-9.]+#$include#g" \
        "$prefix"/share/*/cmake/*generator_pyExport.cmake
    for package in event_camera_msgs dvs_msgs vision_msgs; do
        stamp=$prefix/.made-$package
        newest=$(find "interfaces/$package" -type f -newer "$stamp" 2>/dev/null | head -1 || true)
        if [ -e "$stamp" ] && [ -z "$newest" ]; then continue; fi
        echo "setup: building $package"
        build=$prefix/build/$package
        rm -rf "$build"
        mkdir -p "$build"
        (
            PATH=$bin:$PATH
            log=$build.log
            {
                cmake -S "interfaces/$package" -B "$build" -DCMAKE_INSTALL_PREFIX="$prefix" \
                    -DCMAKE_PREFIX_PATH="$prefix" -DCMAKE_BUILD_TYPE=Release -DBUILD_TESTING=OFF \
                    -DPython3_EXECUTABLE="$bin/python" -DPython3_FIND_VIRTUALENV=ONLY
                cmake --build "$build" -j2
                cmake --install "$build"
            } >"$log" 2>&1
        ) || fail "building $package failed; the log is $build.log."
        touch "$stamp"
    done
fi
