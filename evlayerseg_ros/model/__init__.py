"""The networks, affine motion in torch and ONNX export; torch only, for training and export."""
