"""The package's own files are found in a checkout; test_pip_install and test_colcon try the installs."""

import pytest

from mesh_perception.resources import config_directory, data_file


def test_configuration_of_the_models_is_there():
    assert (config_directory() / 'models' / 'embedded.yaml').is_file()


def test_a_missing_data_file_is_named():
    with pytest.raises(FileNotFoundError, match=r'no_such_thing\.npz is not among the data files'):
        data_file('no_such_thing.npz')
