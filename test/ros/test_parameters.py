"""Parameters are described, checked, and the same in the shipped file."""

import pytest
import yaml

pytest.importorskip('rcl_interfaces', reason='needs ROS 2')
from mesh_perception.configuration import load_config
from mesh_perception.resources import config_directory
from mesh_perception.ros import parameters
from mesh_perception.ros.parameters import PARAMETERS, ParameterError, check, parse_overrides


def test_the_shipped_file_holds_every_parameter_at_its_default():
    data = yaml.safe_load((config_directory() / 'mesh_perception.yaml').read_text())
    assert data == {'/**': {'ros__parameters': {p.name: p.default for p in PARAMETERS}}}


def test_the_shipped_file_says_which_are_live():
    lines = (config_directory() / 'mesh_perception.yaml').read_text().splitlines()
    for parameter in PARAMETERS:
        at = next(i for i, line in enumerate(lines) if line.strip().startswith(f'{parameter.name}:'))
        assert lines[at - 1].strip().startswith('# [start] ' if parameter.read_only else '# [live] ')


@pytest.mark.parametrize(
    'name, value, words',
    [
        ('marker_mesh', 'heavy', 'light, full'),
        ('image_transport', 'theora', 'raw, compressed'),
        ('image_reliability', '', 'best_effort, reliable'),
        ('tf_joints', ['head', 'tail'], "unknown joint 'tail'"),
        ('overrides', ['body'], "'KEY=VALUE'"),
        ('overrides', ['=1'], "'KEY=VALUE'"),
        ('overrides', ['a=]'], 'KEY=VALUE'),
    ],
)
def test_a_bad_value_is_named(name, value, words):
    with pytest.raises(ParameterError, match=name) as error:
        check(name, value)
    assert words in str(error.value) and '\n' not in str(error.value)


@pytest.mark.parametrize('parameter', PARAMETERS, ids=lambda p: p.name)
def test_defaults_pass_their_own_checks(parameter):
    check(parameter.name, parameter.default)


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
