"""The demo's footage as a camera, the node and RViz.

ros2 launch mesh_perception demo.launch.py
ros2 launch mesh_perception demo.launch.py footage:=cam02 rviz:=false
"""

from pathlib import Path

from launch import LaunchDescription
from launch.actions import DeclareLaunchArgument, ExecuteProcess, IncludeLaunchDescription, SetEnvironmentVariable
from launch.launch_description_sources import PythonLaunchDescriptionSource
from launch.substitutions import FindExecutable, LaunchConfiguration

from mesh_perception.launching import environment


def generate_launch_description():
    value = LaunchConfiguration
    # The footage has 6.3 MB an image, which the default transports do not deliver.
    ((variable, profile),) = environment({'dds_profile': 'large_images'}).items()
    publisher = ['-m', 'mesh_perception.ros.demo.publisher', '--ros-args', '-p', ['camera:=', value('footage')]]
    return LaunchDescription(
        [
            DeclareLaunchArgument(
                'footage', default_value='cam01', description='Which of the four cameras, cam01 to cam04.'
            ),
            DeclareLaunchArgument('rviz', default_value='true', choices=('true', 'false'), description='Start RViz.'),
            SetEnvironmentVariable(variable, profile),
            ExecuteProcess(
                cmd=[
                    FindExecutable(name='python3'),
                    *publisher,
                    *('-p', 'loop:=true', '-p', 'frame_id:=camera_optical_frame'),
                ],
                output='screen',
            ),
            # The footage's calibration puts the camera into the frame `world`: RViz shows the people on its grid.
            IncludeLaunchDescription(
                PythonLaunchDescriptionSource(str(Path(__file__).parent / 'mesh_perception.launch.py')),
                launch_arguments={'rviz': value('rviz'), 'fixed_frame': 'world'}.items(),
            ),
        ]
    )
