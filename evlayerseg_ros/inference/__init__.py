"""The old place of `Segmenter`, kept for programs written for 0.1; goes with 1.0."""
