"""Streaming decoders: the bytes of event packets to events, with state kept across packets."""

from evlayerseg_ros.events.codecs._time_base import encode_mono
from evlayerseg_ros.events.codecs.decoder import ENCODINGS, Decoder

__all__ = ["ENCODINGS", "Decoder", "encode_mono"]
