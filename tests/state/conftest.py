from tests.webui.conftest import host as host
from tests.webui.conftest import page as page
from tests.webui.conftest import service as service
