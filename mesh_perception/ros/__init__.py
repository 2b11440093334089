"""The ROS 2 side: messages in, `MeshPipeline`, messages out. No vision code lives here."""
