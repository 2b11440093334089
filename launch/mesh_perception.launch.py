"""The node, optionally with RViz.

ros2 launch mesh_perception mesh_perception.launch.py image:=/camera/image_raw camera_info:=/camera/camera_info
ros2 launch mesh_perception mesh_perception.launch.py --show-args
"""

from pathlib import Path

from ament_index_python.packages import get_package_share_directory
from launch import LaunchDescription
from launch.actions import DeclareLaunchArgument, OpaqueFunction
from launch.conditions import IfCondition
from launch.substitutions import LaunchConfiguration
from launch_ros.actions import Node
from launch_ros.parameter_descriptions import ParameterValue

CONFIG = Path(get_package_share_directory('mesh_perception')) / 'config'

ARGUMENTS = (
    # name, default, description, choices
    ('namespace', '', 'Namespace of the node.', None),
    ('params_file', str(CONFIG / 'mesh_perception.yaml'), 'Parameters of the node.', None),
    ('image', 'image', 'Topic of the images; with compressed transport the base name, without /compressed.', None),
    ('camera_info', 'camera_info', 'Topic of the calibration.', None),
    # Empty: as the parameter file says.
    ('image_transport', '', 'How the images come.', ('', 'raw', 'compressed')),
    ('models', '', 'Model set: a name or the path of a YAML file.', None),
    ('device', '', 'auto, cpu, cuda or cuda:N.', None),
    ('autostart', '', 'Configure and activate at once; false: wait for lifecycle transitions.', ('', 'true', 'false')),
    ('use_sim_time', 'false', 'Take the time from /clock, as with a played bag.', ('true', 'false')),
    ('rviz', 'false', 'Start RViz.', ('true', 'false')),
    ('fixed_frame', 'camera_optical_frame', 'Frame that RViz shows everything in.', None),
    ('rviz_config', str(CONFIG / 'mesh_perception.rviz'), 'What RViz shows.', None),
    ('log_level', 'info', 'Log level of the node.', None),
)


def node(context):
    """The node, with the arguments that were given put over the parameter file."""
    value = LaunchConfiguration
    given = {name: value(name).perform(context) for name in ('image_transport', 'models', 'device', 'autostart')}
    changes = {
        name: ParameterValue(text, value_type=bool if name == 'autostart' else str)
        for name, text in given.items()
        if text
    }
    changes['use_sim_time'] = ParameterValue(value('use_sim_time'), value_type=bool)
    return [
        Node(
            package='mesh_perception',
            executable='mesh_node',
            name='mesh_perception',
            namespace=value('namespace'),
            output='screen',
            emulate_tty=True,
            arguments=['--ros-args', '--log-level', value('log_level')],
            parameters=[value('params_file'), changes],
            remappings=[('image', value('image')), ('camera_info', value('camera_info'))],
        )
    ]


def generate_launch_description():
    value = LaunchConfiguration
    return LaunchDescription(
        [
            *(
                DeclareLaunchArgument(name, default_value=default, description=description, choices=choices)
                for name, default, description, choices in ARGUMENTS
            ),
            OpaqueFunction(function=node),
            Node(
                package='rviz2',
                executable='rviz2',
                name='rviz',
                namespace=value('namespace'),
                output='log',
                arguments=['-d', value('rviz_config'), '-f', value('fixed_frame')],
                remappings=[
                    (f'/mesh_perception/{topic}', f'mesh_perception/{topic}') for topic in ('markers', 'overlay')
                ],
                parameters=[{'use_sim_time': ParameterValue(value('use_sim_time'), value_type=bool)}],
                condition=IfCondition(value('rviz')),
            ),
        ]
    )
