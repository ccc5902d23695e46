"""What the viewer shows where: our layout of a scene in Rerun."""

from __future__ import annotations

import rerun.blueprint as rrb

TIMELINE = "time"


def blueprint(live: bool = False) -> rrb.Blueprint:
    """Our layout: what moves large on the left; edges, tracks and figures over time beside it.

    Args:
        live: stay at the newest window, instead of playing all from the first on.
    """
    return rrb.Blueprint(
        rrb.Horizontal(
            rrb.Vertical(
                rrb.Spatial2DView(origin="camera", name="events, masks, motions"),
                rrb.TextLogView(origin="log", name="what the node says"),
                row_shares=[5, 1],
            ),
            rrb.Vertical(
                rrb.Tabs(
                    rrb.Spatial2DView(origin="sharpened", name="events sharpened"),
                    rrb.Spatial2DView(
                        origin="/", contents=["/sharpened", "/tracks"], name="tracks"
                    ),
                ),
                rrb.TimeSeriesView(origin="speed", name="speed, px/s"),
                rrb.Tabs(
                    rrb.TimeSeriesView(origin="times", name="time a window takes, ms"),
                    rrb.TimeSeriesView(origin="figures", name="rates"),
                ),
                row_shares=[2, 1, 1],
            ),
            column_shares=[3, 2],
        ),
        rrb.TimePanel(
            state="collapsed", timeline=TIMELINE, play_state="following" if live else "playing"
        ),
        rrb.SelectionPanel(state="hidden"),
        rrb.BlueprintPanel(state="hidden"),
    )
