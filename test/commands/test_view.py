"""Options of `view`."""

from __future__ import annotations

import pytest
from called import refused


@pytest.mark.parametrize(
    ("options", "told"),
    [
        (("--web-port", "70000"), "1<=x<=65535"),
        (("--grpc-port", "-1"), "1<=x<=65535"),
        (("--node", ""), "expected a name such as /event_camera/evlayerseg"),
        (("--node", "/"), "expected a name such as /event_camera/evlayerseg"),
        (("--start", "1"), "--start is for a RECORDING, not for --live"),
        (("--topic", "/events"), "--topic is for a RECORDING, not for --live"),
        (("--window-ms", "20"), "--window-ms is for a RECORDING, not for --live"),
        (("--no-refine",), "--refine is for a RECORDING, not for --live"),
    ],
)
def test_what_a_running_node_cannot_be_shown_with_is_refused(options, told):
    assert told in refused("view", "--live", "--web", "--no-browser", *options).output


def test_a_name_without_its_first_slash_is_that_node(monkeypatch):
    from evlayerseg_ros.commands import view

    shown = []
    monkeypatch.setattr(view, "_live", lambda scene, node, *rest: shown.append(node) or 0)
    pytest.importorskip("rerun", reason="the extra [view] is not installed")
    for name in ("camera/evlayerseg", "/camera/evlayerseg/"):
        view.view.main(["--live", "--web", "--node", name], standalone_mode=False)
    assert shown == 2 * ["/camera/evlayerseg"]
