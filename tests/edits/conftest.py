import pytest
from coarse_photo import photo


@pytest.fixture(scope="session")
def pool():
    return [photo((50, 70), seed) for seed in (1, 2, 3)]
