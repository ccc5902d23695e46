"""Segmenter: a window in, a Segmentation out."""
