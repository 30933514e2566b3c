import pytest

from tests.notebooks.running import as_in_colab


@pytest.fixture(scope="session")
def colab(mnist, tmp_path_factory):
    """The environment of a kernel in Colab, where the package is to be cloned; the data are here already."""
    return as_in_colab(tmp_path_factory.mktemp("colab"))
