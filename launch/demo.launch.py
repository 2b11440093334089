"""The demo's footage as a camera, the node and RViz.

ros2 launch mesh_perception demo.launch.py
ros2 launch mesh_perception demo.launch.py camera:=cam02 rviz:=false
"""

from pathlib import Path

from ament_index_python.packages import get_package_share_directory
from launch import LaunchDescription
from launch.actions import DeclareLaunchArgument, ExecuteProcess, IncludeLaunchDescription, SetEnvironmentVariable
from launch.launch_description_sources import PythonLaunchDescriptionSource
from launch.substitutions import FindExecutable, LaunchConfiguration

SHARE = Path(get_package_share_directory('mesh_perception'))


def generate_launch_description():
    value = LaunchConfiguration
    return LaunchDescription(
        [
            DeclareLaunchArgument('camera', default_value='cam01', description='Which of the four cameras.'),
            DeclareLaunchArgument('models', default_value='', description='Model set; empty: the default.'),
            DeclareLaunchArgument('device', default_value='', description='auto, cpu, cuda or cuda:N.'),
            DeclareLaunchArgument('rviz', default_value='true', choices=('true', 'false'), description='Start RViz.'),
            # The footage has 6.3 MB an image, which the default transports do not deliver.
            SetEnvironmentVariable('FASTDDS_DEFAULT_PROFILES_FILE', str(SHARE / 'config' / 'fastdds_large_images.xml')),
            ExecuteProcess(
                cmd=[
                    FindExecutable(name='python3'),
                    '-m',
                    'mesh_perception.ros.demo.publisher',
                    '--ros-args',
                    '-p',
                    ['camera:=', value('camera')],
                    '-p',
                    'loop:=true',
                    '-p',
                    'frame_id:=camera_optical_frame',
                ],
                output='screen',
            ),
            # The footage's calibration puts the camera into the frame `world`: RViz shows the people on its grid.
            IncludeLaunchDescription(
                PythonLaunchDescriptionSource(str(SHARE / 'launch' / 'mesh_perception.launch.py')),
                launch_arguments={
                    'models': value('models'),
                    'device': value('device'),
                    'rviz': value('rviz'),
                    'fixed_frame': 'world',
                }.items(),
            ),
        ]
    )
