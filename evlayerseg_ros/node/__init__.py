"""The thin ROS layer, and the only room that imports rclpy: the node, messages, QoS, diagnostics."""
