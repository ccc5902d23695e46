"""The thin ROS layer and the only room that imports rclpy: node, messages, QoS, diagnostics."""
