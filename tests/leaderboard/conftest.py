from tests.judge.conftest import few_sets  # noqa: F401
