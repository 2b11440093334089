"""What pandas wrote when AGORA's files were made: text as Python's own, also where pyarrow is installed."""

import pandas
import pytest


@pytest.fixture(scope='module', autouse=True)
def plain_text():
    with pandas.option_context('mode.string_storage', 'python'):
        yield
