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
# Modules that pip brings, where they are called otherwise than their packages.
PIP_NAMES = {
    'ai_edge_litert': 'ai-edge-litert',
    'cv2': 'opencv-python-headless',
    'mcap_ros2': 'mcap-ros2-support',
    'rerun': 'rerun-sdk',
    'yaml': 'pyyaml',
}
# ROS packages that are used where they are installed: nothing that a robot must have.
OPTIONAL = {'hri_msgs'}


@pytest.fixture(scope='module')
def manifest():
    catkin_package = pytest.importorskip('catkin_pkg.package')
    return catkin_package.parse_package(str(ROOT / 'package.xml'))


@pytest.fixture(scope='module')
def project():
    return tomllib.loads((ROOT / 'pyproject.toml').read_text())['project']


def imported_modules(folder):
    """{first name of a module: whether all of its imports may fail, being in a function or in `try`} of a folder."""
    names = {}

    def visit(node, lazy):
        modules = []
        if isinstance(node, ast.Import):
            modules = [alias.name for alias in node.names]
        elif isinstance(node, ast.ImportFrom) and node.level == 0:
            modules = [node.module]
        for module in modules:
            name = module.split('.')[0]
            names[name] = names.get(name, True) and lazy
        for child in ast.iter_child_nodes(node):
            visit(child, lazy or isinstance(node, (ast.Try, ast.FunctionDef)))

    for path in [*folder.rglob('*.py'), *(path for path in folder.iterdir() if path.is_file() and not path.suffix)]:
        visit(ast.parse(path.read_text()), False)
    return names


def ros_modules(folder, project):
    """`imported_modules` without Python's own, ours, and those of pip's packages in pyproject.toml."""
    lines = [*project['dependencies'], *(line for extra in project['optional-dependencies'].values() for line in extra)]
    packages = {packaging.Requirement(line).name for line in lines if not line.startswith('ros-')}
    known = sys.stdlib_module_names | {'mesh_perception'} | {path.stem for path in folder.rglob('*.py')}
    return {
        name: lazy
        for name, lazy in imported_modules(folder).items()
        if name not in known and PIP_NAMES.get(name, name) not in packages
    }


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


@pytest.mark.parametrize('folder', ['mesh_perception', 'launch', 'scripts', 'test'])
def test_every_ros_package_that_is_imported_is_declared(manifest, project, folder):
    used = ros_modules(ROOT / folder, project)
    if folder == 'test':
        used.pop('record_tfjs_outputs', None)  # of tools/
    dependencies = manifest.exec_depends + (manifest.test_depends if folder == 'test' else [])
    assert set(used) - {dependency.name for dependency in dependencies} - OPTIONAL == set()
    for name in OPTIONAL & set(used):
        assert used[name] or folder == 'test', f'{name} may be missing: import it where it is used, or in `try`'


def test_imports_are_seen_wherever_they_are(tmp_path, project):
    (tmp_path / 'a.py').write_text('import rclpy.node\nimport numpy\ndef f():\n    from hri_msgs.msg import IdsList\n')
    (tmp_path / 'program').write_text('try:\n    import std_srvs\nexcept ImportError:\n    pass\nfrom . import b\n')
    assert ros_modules(tmp_path, project) == {'rclpy': False, 'hri_msgs': True, 'std_srvs': True}


def test_every_package_that_cmake_needs_is_declared(manifest):
    text = (ROOT / 'CMakeLists.txt').read_text()
    declared = manifest.buildtool_depends + manifest.build_depends + manifest.test_depends
    assert set(re.findall(r'find_package\((\w+)', text)) <= {dependency.name for dependency in declared}
    assert set(re.findall(r'msg/\w+\.msg', text)) == {f'msg/{path.name}' for path in (ROOT / 'msg').iterdir()}


def test_what_colcon_test_leaves_out_exists():
    (paths,) = re.findall(r'foreach\(_path ([^)]*)\)', (ROOT / 'CMakeLists.txt').read_text())
    assert [path for path in paths.split() if not (ROOT / 'test' / path).exists()] == []


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
