"""Several cameras: a node for each in its namespace, all in one process with one copy of the networks, or each alone.

ros2 launch mesh_perception cameras.launch.py cameras:='[front, rear]'
ros2 launch mesh_perception cameras.launch.py cameras:='[front, rear]' share_models:=false

Camera `front` has its images on front/image_raw and its people on front/mesh_perception/people. A parameter file is for
all of them; blocks named /front/mesh_perception and so on say what differs.
"""

from launch import LaunchDescription
from launch.actions import DeclareLaunchArgument, OpaqueFunction
from launch.substitutions import LaunchConfiguration
from launch_ros.actions import Node

from mesh_perception.launching import SEVERAL_CAMERAS, camera_nodes


def processes(context):
    """One process or one a camera."""
    given = {a.name: LaunchConfiguration(a.name).perform(context) for a in SEVERAL_CAMERAS}
    return [Node(**keywords) for keywords in camera_nodes(given)]


def generate_launch_description():
    return LaunchDescription(
        [
            *(
                DeclareLaunchArgument(a.name, default_value=a.default, description=a.description, choices=a.choices)
                for a in SEVERAL_CAMERAS
            ),
            OpaqueFunction(function=processes),
        ]
    )
