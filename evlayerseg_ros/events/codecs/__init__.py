"""Streaming decoders: the bytes of event packets to events, with state kept across packets."""

from evlayerseg_ros.events.codecs.decoder import ENCODINGS, MAX_SIDE, Decoder, encode_mono

__all__ = ["ENCODINGS", "MAX_SIDE", "Decoder", "encode_mono"]
