"""Parameters are described, checked all or nothing, and the same in table, shipped file and documentation."""

import importlib.util
from pathlib import Path

import pytest
import yaml

rclpy = pytest.importorskip('rclpy', reason='needs ROS 2')
from rclpy.node import Node
from rclpy.parameter import Parameter

from mesh_perception.configuration import load_config
from mesh_perception.resources import config_directory
from mesh_perception.ros import parameters
from mesh_perception.ros.parameter_table import BY_NAME, CONFIGURE, LIVE, PARAMETERS, START
from mesh_perception.ros.parameters import ParameterError, check, parse_overrides

ROOT = Path(__file__).resolve().parents[2]
each = pytest.mark.parametrize('entry', PARAMETERS, ids=lambda entry: entry.name)


@pytest.fixture(scope='module')
def writer():
    path = ROOT / 'tools' / 'write_parameters.py'
    if not path.is_file():
        pytest.skip('tools/ is not installed')
    spec = importlib.util.spec_from_file_location('write_parameters', path)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def test_the_shipped_file_holds_every_parameter_at_its_default():
    data = yaml.safe_load((config_directory() / 'mesh_perception.yaml').read_text())
    assert data == {'/**': {'ros__parameters': {p.name: p.default for p in PARAMETERS}}}


def test_shipped_file_and_documentation_say_what_the_table_says(writer):
    assert (config_directory() / 'mesh_perception.yaml').read_text() == writer.parameter_file(), (
        'python tools/write_parameters.py writes it anew'
    )
    assert (ROOT / 'docs' / 'parameters.md').read_text() == writer.page()


def test_the_shipped_file_says_when_each_is_read():
    lines = (config_directory() / 'mesh_perception.yaml').read_text().splitlines()
    for entry in PARAMETERS:
        at = next(i for i, line in enumerate(lines) if line.strip().startswith(f'{entry.name}:')) - 1
        while lines[at].startswith('    #   '):
            at -= 1
        assert lines[at].startswith(f'    # [{entry.when}] {entry.description[:20]}')


@pytest.mark.parametrize(
    'name, value, words',
    [
        ('marker_mesh', 'heavy', "'heavy'; expected one of light, full"),
        ('image_transport', 'theora', 'raw, compressed'),
        ('image_reliability', '', 'best_effort, reliable'),
        ('image_is_rectified', 'yes', 'auto, true, false'),
        ('tf_joints', ['head', 'tail'], "unknown joint 'tail'"),
        ('tf_joints', [1, 2], 'a list of texts'),
        ('tf_joints', None, 'a list of texts'),
        ('overrides', ['body'], "'KEY=VALUE'"),
        ('overrides', ['=1'], "'KEY=VALUE'"),
        ('overrides', ['a=]'], 'KEY=VALUE'),
        ('overrides', ['a=2020-13-41'], 'KEY=VALUE'),
        ('max_people', 0, '0; expected a whole number from 1 to 20'),
        ('max_people', 21, '21; expected'),
        ('max_people', 5.0, '5.0; expected'),
        ('max_people', True, 'True; expected'),
        ('max_age', 1, '1; expected a number with a decimal point from 0.0 to 3600.0'),
        ('max_age', float('nan'), 'nan; expected'),
        ('max_age', float('inf'), 'inf; expected'),
        ('max_age', -0.1, '-0.1; expected'),
        ('publish_tf', 1, '1; expected true or false'),
        ('publish_tf', 'true', "'true'; expected true or false"),
        ('device', 0, '0; expected text'),
    ],
)
def test_a_bad_value_is_named(name, value, words):
    with pytest.raises(ParameterError, match=name) as error:
        check(name, value)
    assert words in str(error.value) and '\n' not in str(error.value)


@each
def test_defaults_and_both_ends_of_a_range_pass(entry):
    for value in (entry.default, *entry.choices, *entry.limits):
        check(entry.name, value)


def test_every_number_has_a_range_so_that_nan_and_infinity_are_refused():
    numbers = [entry for entry in PARAMETERS if type(entry.default) in (int, float)]
    assert numbers and all(entry.limits for entry in numbers)


def test_what_yaml_reads_as_true_is_taken_where_true_is_a_choice():
    check('image_is_rectified', True)
    check('image_is_rectified', False)


def test_overrides_reach_the_configuration():
    values = {p.name: p.default for p in PARAMETERS}
    values |= {
        'overrides': ['', 'skeleton.network=blazepose_heavy', 'tracking.detect_every=6'],
        'max_people': 3,
        'device': 'cpu',
        'body': '/some/smpl.npz',
    }
    config = load_config('embedded', parameters.configuration_overrides(values.__getitem__))
    assert (config.skeleton.network, config.tracking.detect_every) == ('blazepose_heavy', 6)
    assert (config.tracking.max_people, config.device, config.body) == (3, 'cpu', '/some/smpl.npz')


def test_overrides_are_read_as_yaml():
    assert parse_overrides(['a.b=1', 'c = yes', '', 'd=0.5', 'e=x=y']) == {'a.b': 1, 'c': True, 'd': 0.5, 'e': 'x=y'}


def test_misspelt_parameters_are_named_with_the_nearest():
    given = ['models', 'use_sim_time', 'qos_overrides./tf.publisher.depth', 'publish_marker', 'quux']
    assert parameters.misspelt(given) == [
        "unknown parameter 'publish_marker' has no effect; did you mean 'publish_markers'?",
        "unknown parameter 'quux' has no effect",
    ]


class ParameterNode(Node):
    """A real node with the real parameters, without the pipeline."""

    def __init__(self, context, given=()):
        overrides = [Parameter(name, value=value) for name, value in given]
        super().__init__('parameters', context=context, parameter_overrides=overrides)
        self.configured = False
        self.refusal = parameters.declare(self, lambda: self.configured)

    def set_parameters_atomically(self, parameter_list):
        reason = self.refusal(parameter_list)
        if reason:
            return parameters.SetParametersResult(successful=False, reason=reason)
        return super().set_parameters_atomically(parameter_list)

    def set_all(self, **values):
        return self.set_parameters_atomically([Parameter(name, value=value) for name, value in values.items()])


@pytest.fixture(scope='module')
def context():
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv('ROS_AUTOMATIC_DISCOVERY_RANGE', 'LOCALHOST')
        context = rclpy.Context()
        context.init()
        yield context
        context.try_shutdown()


@pytest.fixture
def node(context):
    node = ParameterNode(context)
    yield node
    node.destroy_node()


@each
def test_every_parameter_is_described_and_says_when_it_may_be_set(node, entry):
    descriptor = node.describe_parameter(entry.name)
    assert descriptor.description == entry.description and len(entry.description) > 10
    assert descriptor.read_only == (entry.when == START)
    words = {START: 'when the node starts', CONFIGURE: 'while it is unconfigured', LIVE: 'at any time'}
    assert words[entry.when] in descriptor.additional_constraints
    ranges = [*descriptor.integer_range, *descriptor.floating_point_range]
    assert [(r.from_value, r.to_value) for r in ranges] == ([entry.limits] if entry.limits else [])
    for choice in entry.choices:
        assert choice in descriptor.additional_constraints


def test_live_parameters_are_set_at_any_time(node):
    for node.configured in (False, True):
        assert node.set_all(publish_tf=node.configured, marker_mesh='full', max_age=0.25).successful
        assert node.get_parameter('publish_tf').value == node.configured
        assert node.get_parameter('max_age').value == 0.25


def test_read_only_parameters_say_so(node):
    result = node.set_all(diagnostics_period=2.0)
    assert not result.successful
    assert result.reason == (
        'parameter diagnostics_period: read-only, it stays 1.0; '
        'expected in the launch file, parameter file or as -p when the node starts'
    )


def test_what_is_read_at_configure_may_be_set_while_unconfigured_alone(node):
    assert node.set_all(max_people=3, image_is_rectified=True).successful
    node.configured = True
    assert node.set_all(max_people=3).successful, 'nothing changes'
    result = node.set_all(max_people=4)
    assert not result.successful and node.get_parameter('max_people').value == 3
    assert 'max_people' in result.reason and 'cleanup first' in result.reason
    node.configured = False
    assert node.set_all(max_people=4).successful


@pytest.mark.parametrize(
    'bad, words',
    [
        ({'marker_mesh': 'heavy'}, "parameter marker_mesh: 'heavy'; expected one of light, full"),
        ({'max_age': float('nan')}, 'parameter max_age: nan; expected'),
        ({'max_people': 21}, 'parameter max_people: 21; expected a whole number from 1 to 20'),
        ({'publish_tf': 3}, 'parameter publish_tf: 3; expected true or false'),
        ({'autostart': False}, 'read-only'),
        ({'publish_marker': False}, "unknown parameter 'publish_marker'; did you mean 'publish_markers'?"),
        ({'use_sim_time': 'yes'}, "parameter use_sim_time: 'yes'; expected true or false"),
        ({'overrides': ['x']}, "'KEY=VALUE'"),
    ],
)
def test_all_are_set_or_none_with_one_reason(node, bad, words):
    before = {name: node.get_parameter(name).value for name in (*BY_NAME, 'use_sim_time')}
    for values in ({'publish_vertices': True, **bad}, {**bad, 'publish_vertices': True}):
        result = node.set_all(**values)
        assert not result.successful and words in result.reason and '\n' not in result.reason
        assert {name: node.get_parameter(name).value for name in before} == before


def test_a_parameter_cannot_be_deleted(node):
    result = node.set_parameters_atomically([Parameter('max_age', Parameter.Type.NOT_SET)])
    assert not result.successful and 'max_age' in result.reason and node.has_parameter('max_age')


def test_set_parameters_in_the_process_is_checked_too(node):
    results = node.set_parameters([Parameter('marker_mesh', value='heavy'), Parameter('publish_tf', value=False)])
    assert [r.successful for r in results] == [False, True] and 'light, full' in results[0].reason


def test_qos_overrides_are_declared_beside_ours(node):
    from rclpy.qos_overriding_options import QoSOverridingOptions
    from std_msgs.msg import String

    node.create_publisher(String, 'topic', 1, qos_overriding_options=QoSOverridingOptions.with_default_policies())
    assert node.has_parameter('qos_overrides./topic.publisher.depth')


@pytest.mark.parametrize(
    'name, value, words',
    [
        ('max_people', 21, 'parameter max_people: 21; expected a whole number from 1 to 20'),
        ('max_people', 'many', "parameter max_people: 'many'; expected a whole number"),
        ('diagnostics_period', 0.0, 'parameter diagnostics_period: 0.0; expected'),
        ('tf_joints', ['tail'], "unknown joint 'tail'"),
    ],
)
def test_a_bad_value_at_the_start_is_named(context, name, value, words):
    with pytest.raises(ParameterError) as error:
        ParameterNode(context, [(name, value)])
    assert words in str(error.value)
