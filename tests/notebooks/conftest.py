import pytest

from tests.notebooks.running import as_in_colab


@pytest.fixture(scope="session")
def colab(mnist, tmp_path_factory):
    """A kernel as in Colab, where the package is to be installed; the data are here already."""
    colab = as_in_colab(tmp_path_factory.mktemp("colab"))
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("JUPYTER_PATH", colab.environment["JUPYTER_PATH"])  # where Jupyter looks for the kernel
        yield colab
