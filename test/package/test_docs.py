"""README and docs/: links lead somewhere, names are those of the code, and the examples run."""

import os
import random
import re
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest
import torch

from mesh_perception import launching
from mesh_perception.body import load_body, skin
from mesh_perception.geometry.rotations import axis_angle_to_matrix
from mesh_perception.joints import SMPL_JOINTS
from mesh_perception.ros.parameter_table import BY_NAME

ROOT = Path(__file__).resolve().parents[2]
PAGES = [ROOT / 'README.md', ROOT / 'ARCHITECTURE.md', *sorted((ROOT / 'docs').glob('*.md'))]
ROBOT, MESSAGES = ROOT / 'docs' / 'robot.md', ROOT / 'docs' / 'messages.md'


def anchors(page):
    """The anchors that a forge makes of a page's headings."""
    headings = re.findall(r'^#+ (.*)', re.sub(r'```.*?```', '', page.read_text(), flags=re.S), re.M)
    return {re.sub(r'[^\w\- ]', '', heading.lower()).replace(' ', '-') for heading in headings}


def blocks(page, language):
    """The code blocks of a language."""
    return re.findall(rf'```{language}\n(.*?)```', page.read_text(), re.S)


@pytest.mark.parametrize('page', PAGES, ids=lambda page: page.name)
def test_links_lead_to_files_and_headings_that_exist(page):
    prose = re.sub(r'```.*?```', '', page.read_text(), flags=re.S)
    for link in re.findall(r'\]\((?!https?:)([^)]+)\)', prose):
        name, _, anchor = link.partition('#')
        target = page.parent / name if name else page
        assert target.exists(), link
        assert not anchor or anchor in anchors(target), link


def test_the_pages_are_found_from_each_other():
    pages = {page: page.read_text() for page in PAGES}
    for page in ROOT.glob('docs/*.md'):
        assert any(re.search(rf'\]\((docs/)?{page.name}', text) for other, text in pages.items() if other != page)
    for page, others in ((ROBOT, ('messages.md', 'parameters.md')), (MESSAGES, ('robot.md',))):
        assert all(f']({other}' in page.read_text() for other in others)


@pytest.mark.parametrize('page', PAGES, ids=lambda page: page.name)
def test_launch_commands_have_arguments_that_the_launch_files_have(page):
    known = {
        'mesh_perception.launch.py': {a.name for a in launching.ONE_CAMERA},
        'cameras.launch.py': {a.name for a in launching.SEVERAL_CAMERAS},
        'demo.launch.py': {'footage', 'rviz'},
    }
    for name, arguments in re.findall(r'ros2 launch mesh_perception (\S+)([^\n]*)', page.read_text()):
        assert set(re.findall(r'(\w+):=', arguments)) <= known[name]


def test_every_launch_argument_is_explained():
    text = ROBOT.read_text()
    for argument in (*launching.ONE_CAMERA, *launching.SEVERAL_CAMERAS):
        assert re.search(rf'`{argument.name}(:=\S+)?`', text), argument.name


def test_parameters_that_the_pages_name_exist():
    text = ROBOT.read_text()
    table = text[text.index('| you want | set |') : text.index('Markers and overlay are made')]
    for name in re.findall(r'`(\w+):', table):
        assert name in BY_NAME or name == 'qos_overrides', name
    for name in re.findall(r'ros2 param set \S+ (\w+)', text):
        assert BY_NAME[name].when == 'live', name


def test_messages_fields_joints_and_topics_are_the_real_ones():
    text = MESSAGES.read_text()
    assert re.findall(r'(?<=[| ])(\d+) (\w+) ', text[text.index('| 0 pelvis') :].split('\n\n')[0]) == [
        (str(index), name) for index, name in enumerate(SMPL_JOINTS)
    ]
    fields = set(re.findall(r'^\w\S* (\w+)', '\n'.join(p.read_text() for p in (ROOT / 'msg').iterdir()), re.M))
    for name in re.findall(r'`(joint_\w+|joints\w*|rest_joints|betas|pose|vertices|velocity|box|score|faces)`', text):
        assert name in fields, name


def test_the_skinning_example_makes_the_pipelines_mesh():
    (code,) = blocks(MESSAGES, 'python')
    names = {}
    exec(code, names)
    generator = torch.Generator().manual_seed(0)
    pose, betas = 0.4 * torch.randn(24, 3, generator=generator), torch.randn(10, generator=generator)
    translation = torch.tensor([0.3, -0.2, 4.0])
    expected = skin(load_body('open'), axis_angle_to_matrix(pose)[None], betas[None], translation[None]).vertices[0]
    vertices = names['skin'](pose.flatten().numpy(), betas.numpy(), translation.numpy())
    np.testing.assert_allclose(vertices, expected.numpy(), atol=1e-5)


def test_the_python_listener_prints_who_raises_a_hand(tmp_path):
    """The page's own text as a program, heard over DDS."""
    rclpy = pytest.importorskip('rclpy', reason='needs ROS 2')
    messages = pytest.importorskip('mesh_perception.msg', reason='needs the built messages', exc_type=ImportError)
    code = next(block for block in blocks(ROBOT, 'python') if 'rclpy.spin' in block)
    (tmp_path / 'listener.py').write_text(code)
    domain = random.randrange(1, 100)
    environment = {
        **os.environ,
        'ROS_DOMAIN_ID': str(domain),
        'ROS_AUTOMATIC_DISCOVERY_RANGE': 'LOCALHOST',
        'PYTHONPATH': f'{ROOT}{os.pathsep}{os.environ.get("PYTHONPATH", "")}',
    }
    joints = np.zeros((24, 3), np.float32)
    joints[0], joints[[15, 20, 21], 1] = (-0.5, 0.0, 3.25), (-0.6, -0.8, 0.1)
    person = messages.SmplPerson(id='xkqzt', state=messages.SmplPerson.CONFIRMED, joints=joints.flatten())
    unsure = messages.SmplPerson(id='nobdy', state=messages.SmplPerson.TENTATIVE, joints=joints.flatten())
    context = rclpy.Context()
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv('ROS_AUTOMATIC_DISCOVERY_RANGE', 'LOCALHOST')
        context.init(domain_id=domain)
    node = rclpy.create_node('camera', context=context)
    publisher = node.create_publisher(messages.SmplPeople, '/mesh_perception/people', 5)
    listener = subprocess.Popen(
        [sys.executable, str(tmp_path / 'listener.py')], env=environment, stdout=subprocess.PIPE, text=True
    )
    try:
        deadline = time.monotonic() + 30
        while not publisher.get_subscription_count() and time.monotonic() < deadline:
            time.sleep(0.05)
        publisher.publish(messages.SmplPeople(people=[unsure, person]))
        assert listener.stdout.readline() == "xkqzt: 3.25 m ahead, -0.50 m to the right, raised: ['left']\n"
    finally:
        listener.kill()
        listener.communicate()
        node.destroy_node()
        context.shutdown()


def test_the_cpp_listener_uses_fields_and_constants_that_exist():
    """Compiled where there is rclcpp; here its names are compared with the messages'."""
    (code,) = blocks(ROBOT, 'cpp')
    definition = (ROOT / 'msg' / 'SmplPerson.msg').read_text()
    assert set(re.findall(r'person\.(\w+)', code)) <= set(re.findall(r'^\w\S* (\w+)', definition, re.M))
    assert set(re.findall(r'SmplPerson::([A-Z]+)', code)) <= set(re.findall(r'^uint8 (\w+)=', definition, re.M))
    for name, index in re.findall(r'([A-Z_]+) = (\d+)', code):
        assert SMPL_JOINTS[int(index)] == name.lower()
