"""Streaming decoders: the bytes of event packets to events, with state kept across packets."""

from evlayerseg_ros.events.codecs.decoder import ENCODINGS, Decoder, encode_mono

__all__ = ["ENCODINGS", "Decoder", "encode_mono"]
