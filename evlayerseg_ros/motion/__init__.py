"""How things move: warping events, images of warped events, contrast maximisation."""
