from dataclasses import fields, is_dataclass, replace
from pathlib import Path

import pytest
import yaml

from mesh_perception.checkpoints import read_description
from mesh_perception.configuration import (
    PACKAGE,
    Config,
    ConfigurationError,
    MissingFileError,
    RefinementConfig,
    load_config,
    model_files,
    model_sets,
    require,
)
from mesh_perception.resources import config_directory, data_file


@pytest.fixture(autouse=True)
def cache(tmp_path, monkeypatch):
    monkeypatch.setenv('MESH_PERCEPTION_CACHE', str(tmp_path / 'cache'))
    return tmp_path / 'cache'


def write(path, text):
    path.write_text(text)
    return str(path)


HEADS = {
    'skeleton.head': 'embedded_landmark_head.safetensors',
    'twist_shape.weights': 'embedded_twist_shape.safetensors',
}


def in_the_package(config):
    """A Config with the paths of the files that come with the package."""
    files = {}
    for key, name in HEADS.items():
        section, field = key.split('.')
        part = getattr(config, section)
        assert getattr(part, field) == PACKAGE + name
        files[section] = replace(part, **{field: str(data_file(name))})
    return replace(config, **files)


def test_every_shipped_set_loads():
    assert 'embedded' in model_sets()
    for name in model_sets():
        assert load_config(name).name == name


def test_the_shipped_default_says_what_the_code_says():
    assert load_config('embedded') == in_the_package(Config())


def test_overrides_reach_nested_keys():
    config = load_config('embedded', {'skeleton.network': 'blazepose_full', 'device': 'cpu'})
    assert config.skeleton.network == 'blazepose_full' and config.device == 'cpu'


@pytest.mark.parametrize(
    'text, named',
    [
        ('skeleton: {netwrok: blazepose_full}', "'skeleton.netwrok'"),
        ('colour: red', "'colour'"),
        ('detection: {movenet_size: big}', "'detection.movenet_size'"),
        ('detection: {nanodet: 1}', "'detection.nanodet'"),
        ('tracking: {max_people: true}', "'tracking.max_people'"),
        ('tracking: {max_people: 0}', "'tracking.max_people'"),
        ('skeleton: {network: openpose}', "'skeleton.network'"),
        ('skeleton: 3', "'skeleton'"),
        ('detection: {kind: yolov5}', "'detection.kind' must be one of movenet_nanodet, yolov4, got 'yolov5'"),
        ('skeleton: {kind: metric, depth: 49}', "'skeleton.depth' must be one of 18, 34, 50, 101, got 49"),
        ('skeleton: {depth: 50}', "'skeleton.depth' belongs to kind 'metric', but 'skeleton.kind' is 'blazepose'"),
        ('detection: {kind: yolov4, nanodet: true}', "'detection.nanodet' belongs to kind 'movenet_nanodet'"),
        ('twist_shape: {kind: none, weights: a}', "'twist_shape.weights' belongs to kind 'network'"),
        ('refinement: {kind: transformer, people: 0}', "'refinement.people'"),
        ('refinement: none', "'refinement' must hold keys"),
        ('refinement: {kind: }', "'refinement.kind' must be of type str, got None"),
        ('folder: 3', "'folder'"),
        ('[1, 2]', 'expected keys'),
        ('a: [', 'not readable as YAML'),
    ],
)
def test_a_bad_file_is_refused_in_one_line_that_names_the_key(tmp_path, text, named):
    path = write(tmp_path / 'mine.yaml', text)
    with pytest.raises(ConfigurationError) as error:
        load_config(path)
    assert named in str(error.value) and path in str(error.value) and '\n' not in str(error.value)


def test_an_unknown_set_or_a_missing_file_is_refused_by_name(tmp_path):
    with pytest.raises(ConfigurationError, match="unknown model set 'papre'"):
        load_config('papre')
    with pytest.raises(ConfigurationError, match='no such model set file'):
        load_config(str(tmp_path / 'none.yaml'))


def test_an_empty_file_means_the_defaults(tmp_path):
    assert load_config(write(tmp_path / 'embedded.yaml', '')) == in_the_package(Config())


def test_the_paper_set_has_the_paper_sizes():
    config = load_config('paper')
    assert (config.detection.kind, config.skeleton.kind, config.skeleton.depth) == ('yolov4', 'metric', 50)
    refinement = config.refinement
    assert (refinement.people, refinement.width, refinement.depth, refinement.heads) == (3, 1024, 2, 4)


@pytest.mark.parametrize('name', model_sets())
def test_a_shipped_set_writes_out_every_key_of_its_parts(name):
    data = yaml.safe_load((config_directory() / 'models' / f'{name}.yaml').read_text())
    for section in fields(Config):
        if is_dataclass(section.type):
            kind = data[section.name].get('kind')
            wanted = [f.name for f in fields(section.type) if f.metadata.get('kind', kind) == kind]
            assert sorted(data[section.name]) == sorted(wanted)


def test_a_shipped_set_looks_for_its_files_in_the_cache(cache):
    files = {file.key: file.path for file in model_files(load_config('paper'))}
    assert files == {
        'detection.weights': f'{cache}/paper/yolov4.weights',
        'skeleton.weights': f'{cache}/paper/skeleton.safetensors',
        'twist_shape.weights': f'{cache}/paper/twist_shape.safetensors',
        'refinement.weights': f'{cache}/paper/refiner.safetensors',
        'body': f'{cache}/paper/SMPL_NEUTRAL.pkl',
    }
    own = {file.key: file.path for file in model_files(load_config('embedded'))}
    assert own == {key: str(data_file(name)) for key, name in HEADS.items()}


@pytest.mark.parametrize(
    'folder, start',
    [('', 'sets'), ('folder: weights', 'sets/weights'), ('folder: ~/m', 'home/m'), ('folder: /m', '/m')],
)
def test_paths_in_a_file_of_ones_own_start_at_its_folder(tmp_path, monkeypatch, folder, start):
    monkeypatch.setenv('HOME', str(tmp_path / 'home'))
    (tmp_path / 'sets').mkdir()
    write(tmp_path / 'sets' / 'mine.yaml', f'body: a.pkl\nskeleton: {{kind: metric, weights: /abs/s}}\n{folder}')
    monkeypatch.chdir(tmp_path / 'sets')
    for path in ('mine.yaml', tmp_path / 'sets' / 'mine.yaml'):
        config = load_config(path)
        assert config.body == str(tmp_path / start / 'a.pkl') and config.skeleton.weights == '/abs/s'
    refined = load_config('mine.yaml', {'refinement.kind': 'transformer'}).refinement
    assert refined.weights == str(tmp_path / start / 'refiner.safetensors')


def test_paths_in_overrides_start_where_the_command_is_typed(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    config = load_config('paper', {'body': 'b.npz', 'skeleton.weights': 's'})
    assert (config.body, config.skeleton.weights) == (str(tmp_path / 'b.npz'), str(tmp_path / 's'))
    assert load_config('paper', {'body': 'open'}).body == 'open'
    config = load_config('paper', {'folder': 'here'})
    assert config.refinement.weights == str(tmp_path / 'here' / 'refiner.safetensors')


def test_parts_can_be_mixed(tmp_path):
    write(tmp_path / 'mixed.yaml', 'detection: {kind: yolov4}\nrefinement: {kind: transformer, width: 128}')
    config = load_config(tmp_path / 'mixed.yaml')
    assert (config.detection.kind, config.skeleton.kind, config.refinement.width) == ('yolov4', 'blazepose', 128)
    config = load_config('embedded', {'skeleton.depth': 18, 'skeleton.kind': 'metric', 'detection.kind': 'yolov4'})
    assert (config.skeleton.depth, config.skeleton.threshold, config.detection.size) == (18, 0.5, 608)
    config = load_config('paper', {'detection.kind': 'movenet_nanodet', 'refinement.kind': 'none', 'body': 'open'})
    assert config.detection == Config().detection and config.refinement == RefinementConfig()
    assert [file.key for file in model_files(config)] == ['skeleton.weights', 'twist_shape.weights']


@pytest.mark.parametrize(
    'overrides, told',
    [
        ({'skeleton.network': 'blazepose_full'}, "'skeleton.network' belongs to kind 'blazepose'"),
        ({'refinement.kind': 'none', 'refinement.people': 5}, "'refinement.people' belongs to kind 'transformer'"),
        ({'refinement.kind': 'rnn'}, "'refinement.kind' must be one of none, transformer, got 'rnn'"),
        ({'tracking.kind': 'none'}, "unknown key 'tracking.kind'"),
        ({'colour.kind': 'none'}, "unknown key 'colour'"),
        ({'device.x': 1}, "'device' must hold keys for 'device.x', got 'auto'"),
    ],
)
def test_overrides_are_checked_alike(overrides, told):
    with pytest.raises(ConfigurationError) as error:
        load_config('paper', overrides)
    assert told in str(error.value)


def test_a_missing_file_is_told_in_one_line_with_how_to_get_it(cache):
    for file in model_files(load_config('paper')):
        with pytest.raises(MissingFileError) as error:
            require(file.path, file.what, file.how)
        text = str(error.value)
        assert file.path in text and file.what in text and '\n' not in text
        assert any(word in text for word in ('get ', 'train it'))
    path = Path(file.path)
    path.parent.mkdir(parents=True)
    with pytest.raises(MissingFileError):
        require(path.parent, file.what, file.how)
    path.touch()
    assert require(file.path, file.what, file.how) == path


def test_a_file_of_the_package_is_named_without_knowing_where_it_lies():
    assert load_config('embedded', {'body': 'package:open_body.npz'}).body == str(data_file('open_body.npz'))


@pytest.mark.parametrize(
    'overrides, left',
    [
        ({}, ['skeleton.head', 'twist_shape.weights', 'refinement.weights']),
        ({'skeleton.head': 'none', 'twist_shape.kind': 'none'}, ['refinement.weights']),
        ({'skeleton.network': 'blazepose_full'}, []),
        ({'skeleton.network': 'blazepose_full', 'skeleton.head': 'mine.safetensors'}, ['skeleton.head']),
        ({'body': 'smpl.pkl'}, ['skeleton.head', 'body']),
        ({'skeleton.kind': 'metric'}, ['skeleton.weights']),
    ],
)
def test_trained_parts_of_the_package_are_left_out_where_they_do_not_fit(overrides, left):
    assert [file.key for file in model_files(load_config('refined', overrides))] == left


@pytest.mark.parametrize('name', ['embedded', 'refined'])
def test_the_trained_parts_that_come_with_the_package_are_small_and_say_where_they_come_from(name):
    for file in model_files(load_config(name)):
        description = read_description(file.path)
        assert Path(file.path).stat().st_size < 1.5e6 and description.inputs == {'network': 'blazepose_heavy'}
        assert 'mocap.cs.cmu.edu' in description.training['poses'] and description.training['seed'] == 0
