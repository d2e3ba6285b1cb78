"""Where text may go: what is refused is refused before a byte of it is sent."""

import datetime
import shutil
import socket
import subprocess

import pytest

from offclip.data.manifests import ACCESS
from offclip.text import TextPermission, llm
from offclip.text.destination import OPEN_ACCESS, RESTRICTED_ACCESS, destination
from offclip.text.llm import LocalLLMPrompter, PromptingFailed
from tests.text.chat_server import answer, serving

SENTENCE = "Zebrafish-shaped shadow over the left apex."
SIGNED = TextPermission(("llm.hospital.example",), "A. Person", datetime.date(2026, 1, 31))


@pytest.fixture
def names(monkeypatch):
    """A name service of our own: name → addresses. Numbers mean themselves."""
    known = {}
    real = socket.getaddrinfo

    def lookup(host, port, *rest, **named):
        if host not in known:
            return real(host, port, *rest, flags=socket.AI_NUMERICHOST, **named)
        families = {True: socket.AF_INET6, False: socket.AF_INET}
        return [
            (families[":" in each], socket.SOCK_STREAM, 6, "", (each, port)) for each in known[host]
        ]

    monkeypatch.setattr(socket, "getaddrinfo", lookup)
    return known


def test_access_classes_are_those_of_the_manifests():
    assert sorted(OPEN_ACCESS + RESTRICTED_ACCESS) == sorted(ACCESS)


@pytest.mark.parametrize("access", ACCESS)
@pytest.mark.parametrize(
    ("endpoint", "base", "host"),
    [
        ("http://127.0.0.1:8080/v1", "http://127.0.0.1:8080/v1", "127.0.0.1:8080"),
        ("http://127.8.9.1/v1/", "http://127.8.9.1/v1", "127.8.9.1"),
        ("http://[::1]:8080/v1", "http://[::1]:8080/v1", "[::1]:8080"),
        ("http://six.example:8080/v1", "http://[::1]:8080/v1", "six.example:8080"),
        ("http://both.example:8080/v1", "http://127.0.0.1:8080/v1", "both.example:8080"),
        ("https://both.example./v1", "https://127.0.0.1/v1", "both.example."),
    ],
)
def test_this_machine_is_admitted_for_all(names, access, endpoint, base, host):
    names["six.example"] = ["::1"]
    names["both.example"] = ["::1", "127.0.0.1"]
    where = destination(endpoint, access, None)
    assert (where.url, where.host) == (f"{base}/chat/completions", host)


ELSEWHERE = [
    "https://api.elsewhere.example/v1",
    "https://192.0.2.7/v1",
    "https://0.0.0.0:8080/v1",
    "https://[::]:8080/v1",
    "https://[2001:db8::7]/v1",
    "https://[::ffff:192.0.2.7]/v1",
    "https://half.example/v1",
    "https://unknown.example/v1",
    "https://localhost.elsewhere.example/v1",
    "https://llm.hospital.example.elsewhere.example/v1",
    "https://sub.llm.hospital.example/v1",
    "http://169.254.169.254/v1",
]


@pytest.mark.parametrize("access", RESTRICTED_ACCESS)
@pytest.mark.parametrize("endpoint", ELSEWHERE)
@pytest.mark.parametrize("permission", [None, SIGNED])
def test_restricted_text_stays_here(names, tmp_path, access, endpoint, permission):
    for name in ("api.", "localhost.", "llm.hospital.example."):
        names[f"{name}elsewhere.example"] = ["192.0.2.7"]
    names["half.example"] = ["127.0.0.1", "192.0.2.7"]
    names["sub.llm.hospital.example"] = ["192.0.2.7"]
    with pytest.raises(ValueError, match="on this machine.*Nothing was sent.*TextPermission"):
        LocalLLMPrompter(
            endpoint=endpoint, model="m", access=access, cache=tmp_path, permission=permission
        )


def test_open_text_and_signed_hosts_need_https(names):
    names["llm.hospital.example"] = ["192.0.2.7"]
    host = "llm.hospital.example"
    for access, permission in [
        *((each, None) for each in OPEN_ACCESS),
        *((each, SIGNED) for each in RESTRICTED_ACCESS),
    ]:
        where = destination(f"https://{host}/v1", access, permission)
        assert where.url == f"https://{host}/v1/chat/completions"
        with pytest.raises(ValueError, match="expected https"):
            destination(f"http://{host}/v1", access, permission)


@pytest.mark.parametrize(
    "endpoint",
    [
        "",
        "127.0.0.1:8080",
        "ftp://127.0.0.1/v1",
        "file:///etc/passwd",
        "http://",
        "http://:8080/v1",
        "http://127.0.0.1:99999/v1",
        "http://127.0.0.1:x/v1",
        "http://[::1/v1",
        "http://127.0.0.1@192.0.2.7/v1",
        "http://192.0.2.7\\\\@127.0.0.1/v1",
        "http://user:secret@127.0.0.1/v1",
        "http://127.0.0.1/v1?key=secret",
        "http://127.0.0.1/v1#x",
        "http://127.0.0.1/v 1",
        "http://127.0.0.1/v1\r\nX: y",
        "http://bücher.example/v1",
    ],
)
def test_malformed_endpoints(endpoint):
    with pytest.raises(ValueError, match="endpoint: expected an address") as caught:
        destination(endpoint, "open", None)
    assert "secret" not in str(caught.value)


def prompter_for(endpoint, cache):
    return LocalLLMPrompter(endpoint=endpoint, model="m", access="credentialed", cache=cache)


def test_a_name_that_moves_away_later_gets_nothing(names, tmp_path):
    with serving() as server:
        names["moving.example"] = ["127.0.0.1"]
        server.script = [answer(["there is shadow"])]
        prompt = prompter_for(f"http://moving.example:{server.port}/v1", tmp_path)
        assert prompt("Shadow.") == ["there is shadow"]
        assert server.requests[0][1]["Host"] == f"moving.example:{server.port}"
        names["moving.example"] = ["192.0.2.7"]
        with pytest.raises(ValueError, match="Nothing was sent") as caught:
            prompt(SENTENCE)
        assert "Zebrafish" not in str(caught.value)
        assert len(server.requests) == 1
        assert prompt("Shadow.") == ["there is shadow"]  # from the cache, without a request
    assert prompt.usage == {"sentences": 3, "answered": 1, "failed": 1, "cached": 1}


def test_the_address_that_was_checked_is_the_one_connected_to(names, tmp_path, monkeypatch):
    """A name service that answers differently the second time cannot turn the text away."""
    connected = []
    real = socket.create_connection
    names["rebinding.example"] = ["127.0.0.1"]

    def connect(address, *rest, **named):
        names["rebinding.example"] = ["192.0.2.7"]
        connected.append(address[0])
        return real(address, *rest, **named)

    with serving() as server:
        monkeypatch.setattr(socket, "create_connection", connect)
        endpoint = f"http://rebinding.example:{server.port}/v1"
        assert prompter_for(endpoint, tmp_path)(SENTENCE) == []
    assert connected == ["127.0.0.1"]


@pytest.fixture(scope="module")
def certificate(tmp_path_factory):
    """A self-signed certificate for "localhost" and its key."""
    if shutil.which("openssl") is None:
        pytest.skip("openssl is absent: install it to test https")
    folder = tmp_path_factory.mktemp("certificate")
    made = (folder / "certificate.pem", folder / "key.pem")
    command = "openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:prime256v1 -nodes -days 2"
    names = ["-subj", "/CN=localhost", "-addext", "subjectAltName=DNS:localhost"]
    files = ["-out", str(made[0]), "-keyout", str(made[1])]
    subprocess.run([*command.split(), *names, *files], check=True, capture_output=True)
    return made


def test_https_gives_its_text_to_a_trusted_certificate_only(certificate, tmp_path, monkeypatch):
    monkeypatch.setattr(llm.time, "sleep", lambda seconds: None)
    with serving(certificate) as server:
        named, numbered = (
            f"https://{each}:{server.port}/v1" for each in ("localhost", "127.0.0.1")
        )
        for endpoint in (named, numbered):
            with pytest.raises(PromptingFailed, match="CERTIFICATE_VERIFY_FAILED"):
                prompter_for(endpoint, tmp_path)(SENTENCE)
        monkeypatch.setenv("SSL_CERT_FILE", str(certificate[0]))
        with pytest.raises(PromptingFailed, match="CERTIFICATE_VERIFY_FAILED.*not valid for"):
            prompter_for(numbered, tmp_path)(SENTENCE)
        assert server.requests == []
        assert prompter_for(named, tmp_path)(SENTENCE) == []
        assert len(server.requests) == 1


@pytest.mark.parametrize("model", ["glm:cloud", "big:120b-cloud", "big:120B-CLOUD"])
def test_hosted_models_behind_a_local_server(tmp_path, model):
    def make(access, permission=None):
        return LocalLLMPrompter(
            endpoint="http://127.0.0.1:11434/v1",
            model=model,
            access=access,
            cache=tmp_path,
            permission=permission,
        )

    for access in RESTRICTED_ACCESS:
        with pytest.raises(ValueError, match="runs on this machine.*Nothing was sent"):
            make(access, SIGNED)
    make("open")
    make("credentialed", TextPermission(("ollama.com",), "A. Person", SIGNED.date))


@pytest.mark.parametrize(
    ("hosts", "name", "message"),
    [
        ((), "A. Person", "at least one host"),
        (("*",), "A. Person", "plain host names"),
        (("*.example",), "A. Person", "plain host names"),
        (("https://a.example",), "A. Person", "plain host names"),
        (("a.example:443",), "A. Person", "plain host names"),
        (("A.example",), "A. Person", "plain host names"),
        (("a.example", ""), "A. Person", "plain host names"),
        (("a.example",), " ", "signed_by: expected"),
    ],
)
def test_an_unsigned_or_vague_permission_is_none(hosts, name, message):
    with pytest.raises(ValueError, match=message):
        TextPermission(hosts, name, datetime.date(2026, 1, 31))
