"""package.xml, pyproject.toml, CMakeLists.txt and constraints.txt agree with one another and with the code."""

import ast
import re
import sys
from pathlib import Path

import pytest

import mesh_perception

ROOT = Path(__file__).resolve().parents[2]
tomllib = pytest.importorskip('tomllib' if sys.version_info >= (3, 11) else 'tomli')
packaging = pytest.importorskip('packaging.requirements')

# rosdep's keys for what Ubuntu packages; None: no key, or one that is too old, so pip brings it.
ROSDEP_KEYS = {
    'matplotlib': 'python3-matplotlib',
    'moderngl': None,
    'numpy': 'python3-numpy',
    'opencv-python-headless': 'python3-opencv',
    'pyyaml': 'python3-yaml',
    'safetensors': None,
    'scipy': 'python3-scipy',
    'tflite': None,
    'torch': None,
    'tqdm': 'python3-tqdm',
    'transforms3d': 'python3-transforms3d',
}
# Import names of ROS packages that are neither in our own wheel nor ordinary packages.
ROS_MODULES = re.compile(r'rclpy|.*_msgs|builtin_interfaces|cv_bridge|launch|launch_ros|ament_index_python|tf2_ros')


@pytest.fixture(scope='module')
def manifest():
    catkin_package = pytest.importorskip('catkin_pkg.package')
    return catkin_package.parse_package(str(ROOT / 'package.xml'))


@pytest.fixture(scope='module')
def project():
    return tomllib.loads((ROOT / 'pyproject.toml').read_text())['project']


def imported_modules(folder):
    """First names of all modules that the Python files of a folder import."""
    names = set()
    for path in folder.rglob('*.py'):
        for node in ast.walk(ast.parse(path.read_text())):
            if isinstance(node, ast.Import):
                names |= {alias.name.split('.')[0] for alias in node.names}
            elif isinstance(node, ast.ImportFrom) and node.level == 0:
                names.add(node.module.split('.')[0])
    return names


def pins(python_version):
    """Versions that constraints.txt allows on a Python; raises where one package has two."""
    result = {}
    for line in (ROOT / 'constraints.txt').read_text().splitlines():
        if line and not line.startswith('#'):
            requirement = packaging.Requirement(line)
            if requirement.marker is None or requirement.marker.evaluate({'python_version': python_version}):
                assert requirement.name not in result
                result[requirement.name] = requirement.specifier
    return result


def test_package_xml_is_valid_and_says_what_the_code_says(manifest, project):
    manifest.validate()
    assert manifest.name == project['name'] == 'mesh_perception'
    assert manifest.version == mesh_perception.__version__
    assert manifest.licenses == [project['license']] == ['Apache-2.0']
    assert manifest.get_build_type() == 'ament_cmake'
    assert [group.name for group in manifest.member_of_groups] == ['rosidl_interface_packages']


def test_every_python_dependency_has_its_rosdep_key(manifest, project):
    names = {packaging.Requirement(line).name for line in project['dependencies']}
    assert names == set(ROSDEP_KEYS)
    declared = {dependency.name for dependency in manifest.exec_depends}
    wanted = {key for key in ROSDEP_KEYS.values() if key}
    assert {name for name in declared if name.startswith('python3-')} == wanted


def test_every_ros_package_that_is_imported_is_declared(manifest):
    used = {name for name in imported_modules(ROOT / 'mesh_perception') if ROS_MODULES.fullmatch(name)}
    used |= {name for name in imported_modules(ROOT / 'launch') if ROS_MODULES.fullmatch(name)}
    assert used - {dependency.name for dependency in manifest.exec_depends} == set()


def test_every_package_that_cmake_needs_is_declared(manifest):
    text = (ROOT / 'CMakeLists.txt').read_text()
    declared = manifest.buildtool_depends + manifest.build_depends + manifest.test_depends
    assert set(re.findall(r'find_package\((\w+)', text)) <= {dependency.name for dependency in declared}
    assert set(re.findall(r'msg/\w+\.msg', text)) == {f'msg/{path.name}' for path in (ROOT / 'msg').iterdir()}


@pytest.mark.parametrize('python_version', ['3.10', '3.11', '3.12', '3.13'])
def test_every_requirement_has_one_pin_that_satisfies_it(project, python_version):
    pinned = pins(python_version)
    for line in [
        *project['dependencies'],
        *(line for extra in project['optional-dependencies'].values() for line in extra),
    ]:
        requirement = packaging.Requirement(line)
        pin = str(pinned[requirement.name])
        assert pin.startswith('=='), line
        assert requirement.specifier.contains(pin[2:].replace('.*', '.0')), line


def test_installed_packages_are_those_that_the_pins_allow():
    """Where `make setup` made the environment; elsewhere (a robot) the versions are the machine's."""
    if not (Path(sys.prefix) / 'packages.stamp').is_file():
        pytest.skip('this environment was not made by `make setup`')
    from importlib.metadata import distributions

    installed = {re.sub(r'[-_.]+', '-', d.metadata['Name']).lower(): d.version for d in distributions()}
    wanted = pins('.'.join(map(str, sys.version_info[:2])))
    assert {
        name: installed[name]
        for name, pin in wanted.items()
        if name in installed and not pin.contains(installed[name], prereleases=True)
    } == {}
