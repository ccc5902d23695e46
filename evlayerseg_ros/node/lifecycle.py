"""GuardedLifecycle: a lifecycle node whose faults leave it where it was, and say why."""

from __future__ import annotations

import re
from abc import abstractmethod
from collections.abc import Callable
from typing import Any

from rclpy.clock import Clock, ClockType
from rclpy.lifecycle import LifecycleNode, LifecycleState, TransitionCallbackReturn

from evlayerseg_ros.errors import InputError

SUCCESS, FAILURE = TransitionCallbackReturn.SUCCESS, TransitionCallbackReturn.FAILURE
ERROR = TransitionCallbackReturn.ERROR


class GuardedLifecycle(LifecycleNode):
    """Calls _configure, _activate, _stop and _release; what they raise is told in one sentence.

    Attributes:
        configuring: for as long as `_configure` runs, which may take seconds.
    """

    def __init__(self, name: str, **kwargs: Any) -> None:
        super().__init__(name, **kwargs)
        self._state = "unconfigured"
        self.configuring = False
        self._setup_fault = ""
        self._fatal = ""  # why the node has to stop
        # A steady clock: timers go on where simulated time stands still.
        self._steady = Clock(clock_type=ClockType.STEADY_TIME)
        self._starter: Any = None

    @abstractmethod
    def _configure(self) -> None:
        """Takes what the node needs."""

    @abstractmethod
    def _activate(self) -> None:
        """Begins to work."""

    @abstractmethod
    def _stop(self) -> None:
        """Ends the work; may be called again."""

    @abstractmethod
    def _release(self, state: str) -> None:
        """Ends the work, gives everything back and goes to that state."""

    def _start_by_itself(self) -> None:
        """Goes to active as soon as the executor runs."""
        self._starter = self.create_timer(0.0, self._autostart, clock=self._steady)

    def on_configure(self, state: LifecycleState) -> TransitionCallbackReturn:
        """Takes what the node needs; a fault leaves it unconfigured."""
        self.configuring = True
        try:
            return self._guarded("configure", self._configure)
        finally:
            self.configuring = False

    def on_activate(self, state: LifecycleState) -> TransitionCallbackReturn:
        """Starts to work."""
        super().on_activate(state)
        return self._guarded("activate", self._activate)

    def on_deactivate(self, state: LifecycleState) -> TransitionCallbackReturn:
        """Stops to work; what was configured stays."""
        self._stop()
        if self._fatal:
            self._setup_fault, self._fatal = self._fatal, ""
            return ERROR
        self._state = "inactive"
        return super().on_deactivate(state)

    def on_cleanup(self, state: LifecycleState) -> TransitionCallbackReturn:
        """Gives everything back."""
        self._release("unconfigured")
        return SUCCESS

    def on_shutdown(self, state: LifecycleState) -> TransitionCallbackReturn:
        """Gives everything back, for good."""
        self._release("finalized")
        return SUCCESS

    def on_error(self, state: LifecycleState) -> TransitionCallbackReturn:
        """Gives everything back; the node can be configured again."""
        self._release("unconfigured")
        return SUCCESS

    def finish(self) -> None:
        """The lifecycle's last transition, if it has not been made yet."""
        if self._state != "finalized":
            self.trigger_shutdown()

    def _LifecycleNodeMixin__change_state(self, transition: int) -> TransitionCallbackReturn:
        """Refuses what the state does not allow: rclpy would raise, which ends the process."""
        if transition not in {allowed[0] for allowed in self._state_machine.available_transitions}:
            return FAILURE
        change = super()._LifecycleNodeMixin__change_state  # type: ignore[misc]
        return change(transition)  # type: ignore[no-any-return]

    def _autostart(self) -> None:
        if self._starter is None:  # the timer may have been due more than once
            return
        self.destroy_timer(self._starter)
        self._starter = None
        if self._state == "unconfigured" and self.trigger_configure() == SUCCESS:
            self.trigger_activate()

    def _guarded(self, what: str, action: Callable[[], None]) -> TransitionCallbackReturn:
        """Does it; what fails is said in one sentence and leaves the state as it was."""
        try:
            action()
        except InputError as error:
            self._setup_fault = str(error)
        except Exception as error:
            twice = re.search(r"existing topic name (?:rt)?(\S+)", str(error))
            self._setup_fault = (
                f"Cannot {what}: two topics of this node are called {twice[1]}: see its remappings."
                if twice
                else f"Cannot {what}: {type(error).__name__}: {error}"
            )
        else:
            self._setup_fault = ""
            return SUCCESS
        self.get_logger().error(self._setup_fault)
        if what == "configure":
            self._release("unconfigured")
        else:
            self._stop()
        return FAILURE
