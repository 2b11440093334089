"""What the launch files start. Without the launch packages, which have no wheels, stand-ins record what they are given;
with them the same tests, and those marked, run on the real ones."""

import importlib.util
import os
import re
import subprocess
import sys
import types
from pathlib import Path

import pytest

from mesh_perception import launching
from mesh_perception.launching import ONE_CAMERA, SEVERAL_CAMERAS, LaunchError, camera_nodes, mesh_node, rviz
from mesh_perception.resources import config_directory
from mesh_perception.ros.parameter_table import BY_NAME

ROOT = Path(__file__).resolve().parents[2]
FILES = sorted(path.name for path in (ROOT / 'launch').glob('*.launch.py'))
# Not `launch`: that is found wherever a folder of this name is.
REAL = importlib.util.find_spec('launch_ros') is not None
needs_launch = pytest.mark.skipif(not REAL, reason='launch and launch_ros have no wheels')
TABLES = {'mesh_perception.launch.py': ONE_CAMERA, 'cameras.launch.py': SEVERAL_CAMERAS}


def given(table, **changes):
    """Every argument's text, as `ros2 launch` would have it."""
    assert set(changes) <= {a.name for a in table}
    return {a.name: a.default for a in table} | changes


class Recorded:
    """Stands in for anything out of launch and launch_ros."""

    def __init__(self, *args, **kwargs):
        self.args, self.kwargs = args, kwargs

    def perform(self, context):
        return context.launch_configurations[self.args[0]]


def stand_ins():
    """The modules that the launch files import, with a class of its own for each name in them."""
    names = {
        'launch': ['LaunchDescription'],
        'launch.actions': [
            'DeclareLaunchArgument',
            'ExecuteProcess',
            'IncludeLaunchDescription',
            'OpaqueFunction',
            'SetEnvironmentVariable',
        ],
        'launch.launch_description_sources': ['PythonLaunchDescriptionSource'],
        'launch.substitutions': ['FindExecutable', 'LaunchConfiguration'],
        'launch_ros': [],
        'launch_ros.actions': ['Node'],
    }
    result = {}
    for module, members in names.items():
        result[module] = types.ModuleType(module)
        for member in members:
            setattr(result[module], member, type(member, (Recorded,), {}))
    return result


@pytest.fixture
def load(monkeypatch):
    """load(file) -> the launch file as a module."""
    if not REAL:
        for name, module in stand_ins().items():
            monkeypatch.setitem(sys.modules, name, module)

    def run(name):
        spec = importlib.util.spec_from_file_location('launch_file', ROOT / 'launch' / name)
        module = importlib.util.module_from_spec(spec)
        spec.loader.exec_module(module)
        return module

    return run


def entities(module):
    """What generate_launch_description() lists."""
    description = module.generate_launch_description()
    return description.entities if REAL else description.args[0]


def declared(module):
    """{argument: (default, description, choices)} of a launch file."""
    arguments = [e for e in entities(module) if type(e).__name__ == 'DeclareLaunchArgument']
    if not REAL:
        return {
            a.args[0]: (a.kwargs['default_value'], a.kwargs['description'], a.kwargs.get('choices')) for a in arguments
        }
    return {a.name: (''.join(part.text for part in a.default_value), a.description, a.choices) for a in arguments}


@pytest.mark.parametrize('name', FILES)
def test_every_launch_file_says_how_it_is_called_and_what_its_arguments_mean(load, name):
    module = load(name)
    assert f'ros2 launch mesh_perception {name}' in module.__doc__
    arguments = declared(module)
    for default, description, choices in arguments.values():
        assert len(description) > 8 and (not choices or default in choices)
    for example in re.findall(rf'ros2 launch mesh_perception {name} (.*)', module.__doc__):
        assert set(re.findall(r'(\w+):=', example)) <= set(arguments)


@pytest.mark.parametrize('name', TABLES)
def test_arguments_are_those_of_the_table(load, name):
    choices = {a.name: (list(a.choices) if a.choices else None) for a in TABLES[name]}
    found = declared(load(name))
    assert [(n, d) for n, (d, _, _) in found.items()] == [(a.name, a.default) for a in TABLES[name]]
    for name, (_, description, given_choices) in found.items():
        assert (list(given_choices) if given_choices else None) == choices[name]
        assert not REAL or not given_choices or 'Valid choices' in description


def test_what_goes_to_the_node_are_parameters_that_it_has():
    assert {p.name for p in launching.PARAMETERS} - set(BY_NAME) == {'use_sim_time'}
    for parameter in launching.PARAMETERS:
        if parameter.choices and parameter.name in BY_NAME and BY_NAME[parameter.name].choices:
            assert parameter.choices == ('', *BY_NAME[parameter.name].choices)


@pytest.mark.parametrize(
    'arguments, image, info',
    [
        ({}, 'image', 'camera_info'),
        ({'camera': '/front_camera'}, '/front_camera/image_raw', '/front_camera/camera_info'),
        ({'camera': 'front/'}, 'front/image_raw', 'front/camera_info'),
        ({'camera': '/c', 'image': '/c/image_rect'}, '/c/image_rect', '/c/camera_info'),
        ({'image': '/a/rgb', 'camera_info': '/a/info'}, '/a/rgb', '/a/info'),
    ],
)
def test_the_camera_names_its_topics_and_single_topics_go_over_it(arguments, image, info):
    keywords = mesh_node(given(ONE_CAMERA, **arguments))
    assert keywords['remappings'] == [('image', image), ('camera_info', info)]


def test_arguments_go_over_the_parameter_file_and_what_is_not_given_does_not(tmp_path):
    mine = tmp_path / 'mine.yaml'
    mine.touch()
    assert mesh_node(given(ONE_CAMERA, params_file=str(mine)))['parameters'] == [str(mine)]
    keywords = mesh_node(given(ONE_CAMERA, device='cuda:1', autostart='false', use_sim_time='true', target_frame='map'))
    assert keywords['parameters'] == [
        str(config_directory() / 'mesh_perception.yaml'),
        {'device': 'cuda:1', 'autostart': False, 'use_sim_time': True, 'target_frame': 'map'},
    ]


def test_the_node_may_be_started_again_and_have_names_of_its_own():
    keywords = mesh_node(given(ONE_CAMERA, respawn='true', namespace='robot', name='people', log_level='debug'))
    assert keywords['respawn'] is True and keywords['namespace'] == 'robot' and keywords['name'] == 'people'
    assert keywords['arguments'] == ['--ros-args', '--log-level', 'debug']
    assert mesh_node(given(ONE_CAMERA))['respawn'] is False
    assert float(keywords['sigterm_timeout']) > 5, 'launch takes an end that lasts as long for one that hangs'


@pytest.mark.parametrize('argument', ['params_file', 'dds_profile', 'rviz_config'])
def test_a_file_that_is_not_there_ends_the_launch_with_one_line(argument):
    with pytest.raises(LaunchError, match=rf"^{argument}: there is no file '/nowhere\.x'[^\n]*$"):
        arguments = given(ONE_CAMERA, **{argument: '/nowhere.x'})
        mesh_node(arguments)
        rviz(arguments)


@pytest.mark.parametrize(
    'distribution, variable',
    [
        ('humble', 'FASTRTPS_DEFAULT_PROFILES_FILE'),
        ('jazzy', 'FASTRTPS_DEFAULT_PROFILES_FILE'),
        ('kilted', 'FASTDDS_DEFAULT_PROFILES_FILE'),
        (None, 'FASTDDS_DEFAULT_PROFILES_FILE'),
    ],
)
def test_the_dds_profile_is_set_under_the_name_that_the_distribution_knows(
    monkeypatch, tmp_path, distribution, variable
):
    monkeypatch.delenv('ROS_DISTRO', raising=False)
    if distribution:
        monkeypatch.setenv('ROS_DISTRO', distribution)
    profile = config_directory() / 'fastdds_large_images.xml'
    arguments = given(ONE_CAMERA, dds_profile='large_images')
    assert mesh_node(arguments)['additional_env'] == rviz(arguments)['additional_env'] == {variable: str(profile)}
    own = tmp_path / 'own.xml'
    own.touch()
    assert mesh_node(given(ONE_CAMERA, dds_profile=str(own)))['additional_env'] == {variable: str(own)}
    assert mesh_node(given(ONE_CAMERA))['additional_env'] == {}


def test_rviz_shows_the_topics_of_this_node_in_the_frame_asked_for(tmp_path):
    keywords = rviz(given(ONE_CAMERA, namespace='robot', name='people'))
    shown = dict(keywords['remappings'])
    assert {'/mesh_perception/markers', '/mesh_perception/overlay'} <= set(shown)
    assert all(new == old.replace('/mesh_perception/', 'people/') for old, new in shown.items())
    assert keywords['namespace'] == 'robot' and keywords['arguments'][-1] == 'camera_optical_frame'
    assert rviz(given(ONE_CAMERA, target_frame='map'))['arguments'][-1] == 'map'
    assert rviz(given(ONE_CAMERA, target_frame='map', fixed_frame='odom'))['arguments'][-1] == 'odom'
    own = tmp_path / 'own.rviz'
    own.write_text('Value: /else/where')
    assert rviz(given(ONE_CAMERA, rviz_config=str(own)))['remappings'] == []


def test_cameras_share_one_process_that_has_no_name_of_its_own():
    (process,) = camera_nodes(given(SEVERAL_CAMERAS, cameras='[front, /up/rear/]', namespace='robot', device='cpu'))
    assert process['executable'] == 'mesh_cameras' and 'name' not in process and process['namespace'] == 'robot'
    assert process['arguments'] == ['front', '/up/rear', '--ros-args', '--log-level', 'info']
    assert process['remappings'] == [('image', 'image_raw'), ('camera_info', 'camera_info')]
    assert process['parameters'][1:] == [{'device': 'cpu'}]


@pytest.mark.parametrize('namespace, wanted', [('', 'front'), ('/robot/', '/robot/front'), ('robot', 'robot/front')])
def test_or_each_camera_has_a_process(namespace, wanted):
    arguments = given(SEVERAL_CAMERAS, cameras='[front, /up/rear]', share_models='false', namespace=namespace)
    processes = camera_nodes(arguments)
    assert [p['namespace'] for p in processes] == [wanted, '/up/rear']
    assert {p['executable'] for p in processes} == {'mesh_node'}


@pytest.mark.parametrize('cameras', ['', '[]', '[a, a]', '[a, /a/]', '[1]', '[a b]', '{a: b}', '[a', '[/]', '[a//b]'])
def test_cameras_that_are_no_different_namespaces_are_refused_in_one_line(cameras):
    with pytest.raises(LaunchError, match=r'^cameras: [^\n]*expected[^\n]*$'):
        camera_nodes(given(SEVERAL_CAMERAS, cameras=cameras))


def test_what_is_started_exists(load):
    """Programs of ours are in scripts/, and other packages are named where somebody looks for them."""
    keywords = [
        mesh_node(given(ONE_CAMERA)),
        *camera_nodes(given(SEVERAL_CAMERAS, cameras='[a, b]')),
        *camera_nodes(given(SEVERAL_CAMERAS, cameras='[a, b]', share_models='false')),
    ]
    for keyword in keywords:
        assert keyword['package'] == 'mesh_perception' and os.access(ROOT / 'scripts' / keyword['executable'], os.X_OK)
    assert re.search('rviz2', (ROOT / 'package.xml').read_text())


def test_the_demo_shows_its_footage_with_the_node_of_the_other_launch_file(load):
    module = load('demo.launch.py')
    kinds = {type(e).__name__: e for e in entities(module)}
    assert {'SetEnvironmentVariable', 'ExecuteProcess', 'IncludeLaunchDescription'} <= set(kinds)
    included = kinds['IncludeLaunchDescription']
    arguments = dict(included.launch_arguments if REAL else included.kwargs['launch_arguments'])
    known = {a.name for a in ONE_CAMERA}
    assert set(arguments) <= known
    assert not set(declared(module)) - set(arguments) & known, 'the included file would take it for its own'


def test_launch_files_need_neither_torch_nor_opencv_nor_rclpy():
    code = 'import mesh_perception.launching, sys; print(sorted({"torch", "cv2", "rclpy", "numpy"} & set(sys.modules)))'
    environment = {**os.environ, 'PYTHONPATH': str(ROOT)}
    assert (
        subprocess.run([sys.executable, '-c', code], env=environment, capture_output=True, text=True).stdout == '[]\n'
    )


@needs_launch
@pytest.mark.parametrize('name', TABLES)
def test_the_real_launch_makes_the_commands(load, name):
    from launch import LaunchContext

    module, context = load(name), LaunchContext()
    context.launch_configurations.update(
        given(TABLES[name], namespace='robot', device='cpu', dds_profile='large_images')
    )
    context.launch_configurations.update(
        {'cameras': '[front, rear]'} if name == 'cameras.launch.py' else {'camera': '/c'}
    )
    (node,) = module.processes(context)
    node._perform_substitutions(context)
    command = ' '.join(
        part.perform(context) for item in node.cmd[1:] for part in item if type(part).__name__ == 'TextSubstitution'
    )
    wanted = {
        'mesh_perception.launch.py': ['-r image:=/c/image_raw', '-r camera_info:=/c/camera_info'],
        'cameras.launch.py': ['front rear --ros-args', '-r image:=image_raw'],
    }
    for words in ['--params-file', *wanted[name]]:
        assert words in command
