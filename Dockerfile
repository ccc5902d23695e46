# The package in ROS 2 Jazzy. Nobody has built this image yet: where it was written there is no Docker.
# Its steps are those of docs/install.md.
#
#   docker build -t evlayerseg .
#   docker run --rm --net=host --ipc=host evlayerseg ros2 launch evlayerseg_ros segment.launch.py
#
# --net and --ipc: the camera's driver outside hears and is heard, by shared memory too.
FROM ros:jazzy-ros-base

RUN apt-get update && apt-get install -y --no-install-recommends \
        python3-venv ros-jazzy-event-camera-msgs ros-jazzy-vision-msgs \
    && rm -rf /var/lib/apt/lists/*

# Ubuntu 24.04 keeps pip out of its own Python (PEP 668): an environment that sees ROS' packages.
ENV VIRTUAL_ENV=/opt/evlayerseg PATH=/opt/evlayerseg/bin:$PATH
RUN python3 -m venv --system-site-packages $VIRTUAL_ENV

WORKDIR /ws
COPY . src/evlayerseg_ros
RUN pip install --no-cache-dir -c src/evlayerseg_ros/docs/constraints-system.txt \
        av click faery h5py hdf5plugin numba numpy onnxruntime opencv-python-headless openvino rosbags scipy tqdm
RUN . /opt/ros/jazzy/setup.sh \
    && python -m colcon build --packages-select evlayerseg_ros \
    && sed -i '$d' /ros_entrypoint.sh \
    && echo 'source /ws/install/setup.bash && exec "$@"' >> /ros_entrypoint.sh
