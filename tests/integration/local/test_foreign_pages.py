"""The servers that `make run` and the tests start, asked as a web page would make a browser ask."""

import httpx
import pytest

from localstack.embedded.stack import LocalStack
from tests.support.faults import FaultProxy

pytestmark = pytest.mark.integration


@pytest.mark.parametrize(
    "headers",
    [
        {"Origin": "https://attacker.example"},
        {"Origin": "null"},
        {"Sec-Fetch-Site": "cross-site"},
        {"Host": "attacker.example"},
        {"Host": "127.0.0.1"},
    ],
    ids=str,
)
def test_no_server_answers_the_page_of_another_site(
    stack: LocalStack, mail_proxy: FaultProxy, faults: FaultProxy, headers: dict[str, str]
) -> None:
    addresses = {
        f"{stack.base_url}/api/books",
        f"{stack.stage_url}/api/books",
        f"{stack.endpoint_url}/2015-03-31/functions",
        f"{stack.endpoint_url}/_ministack/ses/messages",
        f"{stack.endpoint_url}/_ministack/health",
        f"{mail_proxy.url}/_ministack/ses/messages",
        f"{faults.url}/api/books",
    }
    for address in addresses:
        for method in ("GET", "POST", "OPTIONS"):
            asked = {**headers, "Access-Control-Request-Method": "POST"} if method == "OPTIONS" else headers
            answer = httpx.request(method, address, headers=asked, timeout=60)
            assert answer.status_code == 403, (method, address)
            assert answer.json()["code"] == "foreign_page"
            assert not [name for name in answer.headers if name.startswith("access-control-")]

    # A page of a developer's own web server may call the API, and nothing else.
    of_this_machine = {"Origin": "http://localhost:3000", "Sec-Fetch-Site": "same-site"}
    for address in addresses:
        answer = httpx.get(address, headers=of_this_machine, timeout=60)
        is_api = address.startswith((stack.base_url, stack.stage_url))
        assert (answer.status_code == 200) == is_api, address
    # Without an API and a stage in the path it is a request to the emulator, whatever service its headers name.
    for path in ("", "/", "/x", "/x/"):
        answer = httpx.post(
            f"{stack.endpoint_url}/_aws/execute-api{path}",
            headers={**of_this_machine, "X-Amz-Target": "AmazonSSM.DescribeParameters"},
            timeout=60,
        )
        assert answer.status_code == 403, path
    assert httpx.get(f"{stack.base_url}/api/books", timeout=60).status_code == 200
