import pytest
import shop

from naq import Naq


@pytest.fixture
def naq_app() -> Naq:
    return shop.app
