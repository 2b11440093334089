"""Real footage as a camera on real ROS topics, the node, and a recorder: three processes over DDS."""
