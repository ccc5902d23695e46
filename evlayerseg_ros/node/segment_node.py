"""SegmentNode: the lifecycle node that turns event packets into motion layers."""

from __future__ import annotations

import time
from collections.abc import Sequence
from contextlib import ExitStack
from dataclasses import replace
from functools import partial
from typing import Any

from diagnostic_msgs.msg import DiagnosticArray
from rclpy.callback_groups import MutuallyExclusiveCallbackGroup
from std_srvs.srv import Trigger

from evlayerseg_ros.errors import InferenceError
from evlayerseg_ros.events.types import Packet, Window
from evlayerseg_ros.node import graph, messages, parameters
from evlayerseg_ros.node.carrier import Carrier
from evlayerseg_ros.node.companions import Companions
from evlayerseg_ros.node.diagnostics import Facts, Monitor
from evlayerseg_ros.node.imu import ImuInput
from evlayerseg_ros.node.lifecycle import GuardedLifecycle
from evlayerseg_ros.node.warm_up import warm_up
from evlayerseg_ros.node.worker import Worker
from evlayerseg_ros.outputs.outputs import CARRIED, OUTPUTS, carried
from evlayerseg_ros.pipeline import Pipeline, PipelineConfig
from evlayerseg_ros.segmentation.segmenter import Segmentation, Segmenter
from evlayerseg_ros.surroundings import told_if_slow

# Seconds without a packet after which the node says why nothing comes in.
QUIET = 3.0


class SegmentNode(GuardedLifecycle):
    """Topics, parameters and services as the README lists them.

    configure loads the model, activate subscribes and starts the worker; everything between a
    packet and its results happens on the worker's threads.
    """

    def __init__(self, **kwargs: Any) -> None:
        super().__init__("evlayerseg", **kwargs)
        parameters.declare(self)
        self._input_fault = self._frame_id = ""
        self._fell_back = self._other_size = ""  # sentences: why on the CPU now; what packets say
        self._monitor = Monitor()
        self._segmenter: Segmenter | None = None
        self._pipeline: Pipeline | None = None
        self._worker: Worker | None = None
        self._carrier: Carrier | None = None
        self._outputs: dict[str, Any] = {}
        self._companions: Companions | None = None
        self._imu: ImuInput | None = None
        self._subscription: Any = None
        self._while_active = ExitStack()  # ends what runs then, the last first
        self._moving_seq = 0
        self._heard = 0.0  # when the last packet came, time.monotonic()
        self._diagnostics = self.create_publisher(DiagnosticArray, "/diagnostics", 10)
        self.create_service(Trigger, "~/reset", self._on_reset)
        group = MutuallyExclusiveCallbackGroup()
        self._timer = self.create_timer(1.0, self._tick, callback_group=group, clock=self._steady)
        if parameters.value(self, "autostart"):
            self._start_by_itself()

    # -- lifecycle

    def _configure(self) -> None:
        """Loads the model and makes the publishers."""
        config = parameters.pipeline_config(self)
        self._segmenter = Segmenter.from_config(config.segmenter)
        with told_if_slow(self.get_logger().info):
            warm_up(self._segmenter, config.width, config.height)
        self._fell_back = ""
        output_qos = parameters.qos(self, "output")
        for name in OUTPUTS:
            self._outputs[name] = self.create_lifecycle_publisher(
                messages.TOPIC_TYPES[name], f"~/{name}", output_qos
            )
        self._companions = Companions(self, output_qos)
        self._state = "inactive"
        if caution := self._caution():
            self.get_logger().warning(caution)

    def _activate(self) -> None:
        """Subscribes and starts the worker."""
        assert self._segmenter is not None
        kind, raw = messages.event_type(parameters.value(self, "event_type"))
        self._monitor.forget()
        config = parameters.pipeline_config(self)
        if config.segmenter.camera_motion == "imu":
            assert self._companions is not None
            self._imu = ImuInput(self, self._companions)
            self._while_active.callback(self._imu.close)
        self._pipeline = self._new_pipeline(config)
        self._pipeline.begin()
        self._worker = Worker(
            self._pipeline.stream,
            read=partial(self._read, config, raw),
            segment=self._segment,
            forget=self._forget,
            wanted=self._wanted,
            publish=self._publish,
            measure=self._monitor.latency,
            report=self._report,
            max_windows=parameters.value(self, "max_backlog_windows"),
            max_wait=parameters.value(self, "max_wait_ms") * 1e-3,
        )
        self._carrier = Carrier(
            self._publish_carried,
            now=self._now,
            report=self._report,
            rate=parameters.value(self, "publish.rate_hz"),
        )
        self._carrier.start()
        self._while_active.callback(self._carrier.stop)
        self._worker.start()
        self._while_active.callback(self._worker.stop)
        self._heard = time.monotonic()
        self._subscription = self.create_subscription(
            kind, "~/events", self._on_message, parameters.qos(self, "events"), raw=raw
        )
        self._while_active.callback(self.destroy_subscription, self._subscription)
        self._state = "active"
        self.get_logger().info(
            f"Listening to {self._subscription.topic_name}, model {self._segmenter.info.name} on "
            f"{self._segmenter.provider}, windows by {self._pipeline.config.window.mode}."
        )

    def _new_pipeline(self, config: PipelineConfig) -> Pipeline:
        return Pipeline(config, self._segmenter, turn_of=self._imu.turn if self._imu else None)

    def _stop(self) -> None:
        self._while_active.close()
        self._subscription = self._worker = self._carrier = self._imu = None
        self._other_size = ""

    def _release(self, state: str) -> None:
        self._stop()
        for publisher in self._outputs.values():
            self.destroy_lifecycle_publisher(publisher)
        self._outputs = {}
        if self._companions is not None:
            self._companions.close()
            self._companions = None
        self._segmenter = self._pipeline = None
        self._state = state

    # -- data

    def _on_message(self, message: Any) -> None:
        """Only enqueues."""
        self._heard = time.monotonic()
        if self._worker is not None:
            self._worker.put(message, len(getattr(message, "events", message)))

    def _read(self, config: PipelineConfig, raw: bool, message: Any, arrived: float) -> Packet:
        """On a thread of the worker: the packet of a message."""
        size = config.width, config.height
        packet = (
            messages.packet_of_event_array(message, size) if raw else messages.packet_of(message)
        )
        self._other_size = messages.other_size(packet, size)
        return packet.with_stamp(partial(self._at, arrived))

    def _segment(self, window: Window) -> Segmentation:
        """On a thread of the worker. What to do when the network fails is a parameter."""
        assert self._segmenter is not None and self._pipeline is not None
        self._segmenter.refine = parameters.value(self, "refine")
        self._segmenter.track = parameters.value(self, "track")
        try:
            return self._pipeline.answer(window)
        except InferenceError as error:
            if parameters.value(self, "on_inference_error") == "error":
                self._fatal = str(error)  # the next tick stops the node, on the executor's thread
                raise
            if self._segmenter.provider == "cpu":
                raise
            config = replace(self._pipeline.config.segmenter, provider="cpu")
            self._pipeline.segment = self._segmenter = Segmenter.from_config(config)
            self._fell_back = f"{error} The network runs on the CPU from now on."
            self._report(self._fell_back)
            return self._segment(window)

    def _forget(self) -> None:
        """On the same thread: the next window does not follow the last one."""
        if self._pipeline is not None:
            self._pipeline.forget()
        if self._carrier is not None:
            self._carrier.forget()

    def _listened_to(self, name: str) -> bool:
        publisher = self._outputs[name]
        return bool(
            publisher.get_subscription_count() and parameters.value(self, f"publish.{name}")
        )

    def _wanted(self) -> bool:
        return any(self._listened_to(name) for name in OUTPUTS)

    def _publish(
        self, window: Window, segmentation: Segmentation, frame_id: str, arrived: float
    ) -> None:
        """On a thread of the worker: a window's outputs, but for those that are carried to now."""
        self._frame_id = frame_id
        if self._imu is not None:
            self._imu.saw(window.stamp, arrived, frame_id)
        names = list(OUTPUTS)
        if self._carrier is not None and self._carrier.rate:
            self._carrier.offer(segmentation, frame_id, arrived)
            names = [name for name in names if name not in CARRIED]
        self._send(names, segmentation, window.stamp, frame_id)

    def _publish_carried(self, segmentation: Segmentation, stamp: int, frame_id: str) -> None:
        """On the carrier's thread."""
        names = [name for name in CARRIED if self._listened_to(name)]
        if names:
            self._send(names, carried(segmentation, stamp), stamp, frame_id)

    def _send(
        self, names: Sequence[str], segmentation: Segmentation, stamp: int, frame_id: str
    ) -> None:
        """Makes and publishes those of the outputs that somebody listens to."""
        for name in names:
            if self._listened_to(name):
                output = OUTPUTS[name](segmentation.window, segmentation)
                message = messages.to_message(output, stamp, frame_id, self._moving_seq)
                self._moving_seq += name == "moving_events"
                self._outputs[name].publish(message)
        if self._companions is not None:
            self._companions.publish(stamp, frame_id)

    def _on_reset(self, request: Trigger.Request, response: Trigger.Response) -> Trigger.Response:
        response.success = self._worker is not None
        if self._worker is not None:
            self._worker.reset()
            response.message = "Buffered events, decoder state and motions are forgotten."
        else:
            response.message = f"Nothing to forget: the node is {self._state}."
        return response

    # -- what it tells

    def _report(self, sentence: str) -> None:
        self._monitor.fault(sentence)
        self.get_logger().error(sentence, throttle_duration_sec=5.0)

    def _caution(self) -> str:
        """A sentence if the provider or the size is not the one asked for, or the gyro not used."""
        imu = self._imu.fault if self._imu is not None else ""
        if told := self._fell_back or self._other_size or imu:
            return told
        asked = parameters.value(self, "provider")
        if self._segmenter is None or asked in ("auto", self._segmenter.provider):
            return ""
        return f"Asked for provider {asked}, but the network runs on {self._segmenter.provider}."

    def _tick(self) -> None:
        """Once a second: applies changed parameters, notices silence, reports."""
        if self._fatal:
            self.trigger_deactivate()
        if self._worker is not None:
            self._follow_parameters(self._worker)
            self._notice_silence()
            if self._imu is not None and self._pipeline is not None:
                self._imu.check(self._pipeline.contradicted)
        info = {"model": str(parameters.value(self, "model")), "frame_id": self._frame_id}
        if self._segmenter is not None:
            info |= {"model": self._segmenter.info.name, "provider": self._segmenter.provider}
        fault = self._input_fault if self._state == "active" else ""
        facts = Facts(self._state, self._setup_fault, fault, self._caution(), info)
        name = self.get_fully_qualified_name()
        self._diagnostics.publish(self._monitor.message(self._now(), name, facts, self._worker))

    def _now(self) -> int:
        return int(self.get_clock().now().nanoseconds)

    def _at(self, arrived: float) -> int:
        """ROS time (ns) at a monotonic time (s); under simulated time, now; 0: unknown."""
        clock: Any = self.get_clock()
        waited = 0.0 if clock.ros_time_is_active else time.monotonic() - arrived
        return max(self._now() - round(waited * 1e9), 0)

    def _follow_parameters(self, worker: Worker) -> None:
        worker.max_windows = parameters.value(self, "max_backlog_windows")
        worker.max_wait = parameters.value(self, "max_wait_ms") * 1e-3
        if self._carrier is not None:
            self._carrier.rate = parameters.value(self, "publish.rate_hz")
        window = parameters.window_config(self)
        if self._pipeline is not None and window != self._pipeline.config.window:
            config = replace(self._pipeline.config, window=window)
            self._pipeline = self._new_pipeline(config)
            worker.reset(self._pipeline.stream)
            self._monitor.forget()

    def _notice_silence(self) -> None:
        silent = time.monotonic() - self._heard > QUIET
        self._input_fault = graph.why_silent(self, self._subscription, silent) or graph.twin(self)
        if self._input_fault:
            self.get_logger().warning(self._input_fault, throttle_duration_sec=60.0)
