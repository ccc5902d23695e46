"""Segmenter: events in, Segmentation out. ONNX Runtime; never imports torch or rclpy."""
