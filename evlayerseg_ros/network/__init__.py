"""The networks of this package in torch, and their export to ONNX."""
