"""What the launch files start, as plain data: arguments in, keyword arguments of launch_ros' `Node` out.

Nothing here needs the launch packages, so that it can be tried without them, nor torch, which `ros2 launch`'s Python
need not have.
"""

import re
from dataclasses import dataclass
from pathlib import Path

import yaml

from mesh_perception.resources import config_directory
from mesh_perception.ros.dds import LARGE_IMAGES, profile_variable

CONFIG = config_directory()
PROFILES = {'large_images': LARGE_IMAGES}


class LaunchError(ValueError):
    """An argument that cannot be used: its name, its value and what was expected."""


@dataclass(frozen=True)
class Argument:
    """An argument of a launch file; with choices nothing else is taken."""

    name: str
    default: str
    description: str
    choices: tuple | None = None


_SWITCH = ('', 'true', 'false')
# Handed to the node as its parameters of the same names; empty: as the parameter file says.
PARAMETERS = (
    Argument('models', '', 'Model set: a name or the path of a YAML file.'),
    Argument('device', '', 'auto, cpu, cuda or cuda:N.'),
    Argument('image_transport', '', 'How the images come.', ('', 'raw', 'compressed')),
    Argument('image_reliability', '', 'QoS of images and calibration.', ('', 'best_effort', 'reliable')),
    Argument('target_frame', '', 'A fixed frame, such as map or odom, in which people are told too.'),
    Argument('autostart', '', 'false: the node waits for a lifecycle manager.', _SWITCH),
    Argument('use_sim_time', '', 'true: the time comes from /clock, as with a played bag.', _SWITCH),
)
# Of every launch file that starts nodes.
COMMON = (
    Argument('namespace', '', 'Put before the names of nodes and cameras.'),
    Argument('params_file', str(CONFIG / 'mesh_perception.yaml'), "Parameters of the node; README's has them all."),
    *PARAMETERS,
    Argument('dds_profile', '', "Fast DDS profile: 'large_images' (shipped) or the path of an XML file."),
    Argument('respawn', 'false', 'Start the node again two seconds after it ended.', ('true', 'false')),
    Argument('log_level', 'info', 'Log level of the node.'),
)
# mesh_perception.launch.py
ONE_CAMERA = (
    Argument('camera', '', "Namespace of the camera's driver, with image_raw and camera_info in it."),
    Argument('image', '', 'Topic of the images where it is another one; always without /compressed.'),
    Argument('camera_info', '', 'Topic of the calibration where it is another one.'),
    Argument('name', 'mesh_perception', 'Name of the node.'),
    *COMMON,
    Argument('rviz', 'false', 'Start RViz.', ('true', 'false')),
    Argument('fixed_frame', '', 'Frame that RViz shows everything in; empty: target_frame or camera_optical_frame.'),
    Argument('rviz_config', str(CONFIG / 'mesh_perception.rviz'), 'What RViz shows.'),
)
# cameras.launch.py
SEVERAL_CAMERAS = (
    Argument('cameras', '', "Namespaces of the cameras' drivers, such as [front, rear]; each gets a node of its own."),
    Argument('share_models', 'true', 'One process with one copy of the networks for all.', ('true', 'false')),
    Argument('image', 'image_raw', 'Topic of the images in the namespace of each camera.'),
    Argument('camera_info', 'camera_info', 'Topic of the calibration in the namespace of each camera.'),
    *COMMON,
)


def topics(given):
    """(topic of the images, topic of the calibration) for the arguments camera, image and camera_info."""
    camera = given['camera'].rstrip('/')
    image, info = (f'{camera}/image_raw', f'{camera}/camera_info') if camera else ('image', 'camera_info')
    return given['image'] or image, given['camera_info'] or info


def mesh_node(given):
    """The node for one camera. given: {argument of ONE_CAMERA: its text}. Raises LaunchError."""
    return {
        **_process(given, *topics(given)),
        'executable': 'mesh_node',
        'name': given['name'],
        'namespace': given['namespace'],
        'arguments': ['--ros-args', '--log-level', given['log_level']],
    }


def camera_nodes(given):
    """One process for all cameras, or one a camera. given: {argument of SEVERAL_CAMERAS: its text}.

    Raises LaunchError.
    """
    cameras = camera_names(given['cameras'])
    process = _process(given, given['image'], given['camera_info'])
    log = ['--ros-args', '--log-level', given['log_level']]
    if given['share_models'] == 'true':  # without a name: it would be that of all its nodes
        namespace = given['namespace']
        return [{**process, 'executable': 'mesh_cameras', 'namespace': namespace, 'arguments': [*cameras, *log]}]
    below = f'{given["namespace"].rstrip("/")}/' if given['namespace'] else ''
    return [
        {
            **process,
            'executable': 'mesh_node',
            'name': 'mesh_perception',
            'namespace': camera if camera.startswith('/') else below + camera,
            'arguments': log,
        }
        for camera in cameras
    ]


def camera_names(text):
    """'[front, rear]' -> ['front', 'rear']; raises LaunchError for anything but different namespaces."""
    try:
        names = yaml.safe_load(text)
    except yaml.YAMLError:
        names = None
    names = [names] if isinstance(names, str) else names
    if not isinstance(names, list) or not names or len({str(n).strip('/') for n in names}) < len(names):
        raise LaunchError(f'cameras: {text!r}; expected different namespaces, such as [front, rear]')
    for name in names:
        if not isinstance(name, str) or not re.fullmatch(r'/?[A-Za-z]\w*(/[A-Za-z]\w*)*/?', name):
            raise LaunchError(f'cameras: {name!r} is no namespace; expected something like front or /robot/front')
    return [name.rstrip('/') for name in names]


def rviz(given):
    """RViz, with the node's topics in place of those that the shipped file names. Raises LaunchError."""
    shown = sorted(set(re.findall(r'/mesh_perception/(\w+)', _file(given, 'rviz_config').read_text())))
    fixed_frame = given['fixed_frame'] or given['target_frame'] or 'camera_optical_frame'
    return {
        'package': 'rviz2',
        'executable': 'rviz2',
        'name': 'rviz',
        'namespace': given['namespace'],
        'output': 'log',
        'additional_env': environment(given),
        'arguments': ['-d', given['rviz_config'], '-f', fixed_frame],
        'parameters': [{'use_sim_time': given['use_sim_time'] == 'true'}],
        'remappings': [(f'/mesh_perception/{topic}', f'{given["name"]}/{topic}') for topic in shown],
    }


def environment(given):
    """The variable that makes Fast DDS read the profile of the argument dds_profile. Raises LaunchError."""
    if not given['dds_profile']:
        return {}
    path = PROFILES.get(given['dds_profile'], Path(given['dds_profile']))
    if not path.is_file():
        raise LaunchError(f'dds_profile: there is no file {str(path)!r}; expected {", ".join(PROFILES)} or an XML file')
    return {profile_variable(): str(path)}


def _process(given, image, info):
    truth = {'true': True, 'false': False}
    changes = {p.name: truth.get(given[p.name], given[p.name]) for p in PARAMETERS if given[p.name]}
    return {
        'package': 'mesh_perception',
        'output': 'screen',
        'emulate_tty': True,
        'respawn': given['respawn'] == 'true',
        'respawn_delay': 2.0,
        'sigterm_timeout': '15',  # s: on a busy machine the end takes longer than launch's 5
        'additional_env': environment(given),
        'parameters': [str(_file(given, 'params_file')), *([changes] if changes else [])],
        'remappings': [('image', image), ('camera_info', info)],
    }


def _file(given, name):
    """The file that an argument names: launch itself would go on without it."""
    path = Path(given[name]).expanduser()
    if not path.is_file():
        raise LaunchError(f'{name}: there is no file {str(path)!r}')
    return path
