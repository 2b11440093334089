import pytest

from mesh_perception.configuration import Config, ConfigurationError, load_config, model_sets


def write(path, text):
    path.write_text(text)
    return str(path)


def test_every_shipped_set_loads():
    assert 'embedded' in model_sets()
    for name in model_sets():
        assert load_config(name).name == name


def test_the_shipped_default_says_what_the_code_says():
    assert load_config('embedded') == Config()


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
    assert load_config(write(tmp_path / 'embedded.yaml', '')) == Config()
