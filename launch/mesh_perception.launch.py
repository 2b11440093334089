"""The node for one camera, optionally with RViz.

ros2 launch mesh_perception mesh_perception.launch.py camera:=/front_camera
ros2 launch mesh_perception mesh_perception.launch.py image:=/camera/rgb camera_info:=/camera/info rviz:=true
ros2 launch mesh_perception mesh_perception.launch.py --show-args
"""

from launch import LaunchDescription
from launch.actions import DeclareLaunchArgument, OpaqueFunction
from launch.substitutions import LaunchConfiguration
from launch_ros.actions import Node

from mesh_perception.launching import ONE_CAMERA, mesh_node, rviz


def processes(context):
    """The node, and RViz if asked for."""
    given = {a.name: LaunchConfiguration(a.name).perform(context) for a in ONE_CAMERA}
    return [Node(**mesh_node(given))] + ([Node(**rviz(given))] if given['rviz'] == 'true' else [])


def generate_launch_description():
    return LaunchDescription(
        [
            *(
                DeclareLaunchArgument(a.name, default_value=a.default, description=a.description, choices=a.choices)
                for a in ONE_CAMERA
            ),
            OpaqueFunction(function=processes),
        ]
    )
