"""The old place of `Segmenter`: import it from `evlayerseg_ros.segmentation.segmenter`."""

from evlayerseg_ros.segmentation.segmenter import Segmenter as Segmenter
