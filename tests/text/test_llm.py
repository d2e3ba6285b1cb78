"""The language-model prompter against a real server that misbehaves on order. Text is our own."""

import json
import pickle
import re
import socket
import traceback
from concurrent.futures import ThreadPoolExecutor
from hashlib import sha256

import pytest

from offclip.text import LocalLLMPrompter, Prompter, PromptingFailed, Usage, llm, report_prompts
from offclip.text._chat import ANSWER_LIMIT
from offclip.text._rewriting import LENGTH_LIMIT, PROMPTS_LIMIT, request_body
from tests.text.chat_server import answer, completion, reply, says, serving

SENTENCE = "Zebrafish-shaped shadow over the left apex."
PROMPTS = ["there is shadow over left apex", "there is no effusion"]


@pytest.fixture
def server():
    with serving() as running:
        yield running


@pytest.fixture
def prompter(server, tmp_path):
    def make(**settings):
        settings = {"access": "credentialed", "cache": tmp_path / "cache", **settings}
        settings = {"endpoint": server.endpoint, "model": "tiny", "first_wait": 0.0, **settings}
        return LocalLLMPrompter(**settings)

    return make


def adds_up(usage):
    c = usage.counts()
    assert c["sentences"] == sum(c[k] for k in ("blank", "cached", "refused", "answered", "failed"))
    assert c["asked"] == c["answered"] + c["failed"] + c["retried"]
    return c


def everything_said(error):
    """The message, the printed traceback, and all that hangs on the chain of causes."""
    said = ["".join(traceback.format_exception(error))]
    while error is not None:
        said += [repr(error), repr(error.args), repr(vars(error))]
        error = error.__cause__ or error.__context__
    return "\n".join(said)


def test_it_speaks_the_protocol(server, prompter):
    server.script = [answer(PROMPTS)]
    ask = prompter(api_key="secret-key")
    assert isinstance(ask, Prompter)
    assert ask(SENTENCE) == PROMPTS
    [(path, headers, body)] = server.requests
    request = json.loads(body)
    assert path == "/v1/chat/completions"
    assert headers["Authorization"] == "Bearer secret-key" and "secret-key" not in repr(ask)
    assert headers["Content-Type"] == "application/json"
    assert request["model"] == "tiny" and request["temperature"] == 0
    roles = [message["role"] for message in request["messages"]]
    assert roles == ["system"] + ["user", "assistant"] * (len(roles) // 2 - 1) + ["user"]
    assert request["messages"][-1]["content"] == SENTENCE
    schema = request["response_format"]["json_schema"]["schema"]
    assert request["response_format"]["type"] == "json_schema"
    assert schema["properties"]["prompts"]["maxItems"] == PROMPTS_LIMIT
    pattern = schema["properties"]["prompts"]["items"]["pattern"]
    assert all(re.search(pattern, prompt) for prompt in PROMPTS)
    assert pattern[0] + pattern[-1] == "^$" and "(?" not in pattern  # as grammar compilers ask
    assert adds_up(ask.usage) == Usage(sentences=1, answered=1, asked=1).counts()


def test_the_examples_keep_the_rules_they_teach(server, prompter):
    messages = json.loads(request_body("tiny", SENTENCE))["messages"]
    pairs = list(zip(messages[1:-1:2], messages[2:-1:2], strict=True))
    assert len(pairs) >= 4
    ask = prompter()
    for user, assistant in pairs:
        server.script = [says(assistant["content"])]
        assert ask(user["content"]) == json.loads(assistant["content"])["prompts"]


def test_it_serves_a_report(server, prompter):
    server.script = [answer(["there is normal heart"]), answer([])]
    sentences, prompts, without = report_prompts("Normal heart. Call me.", prompter())
    assert (len(sentences), prompts, without) == (2, ["there is normal heart"], 1)
    assert server.sentences == ["Normal heart.", "Call me."]


def test_blank_sentences_need_no_request(server, prompter):
    ask = prompter()
    assert ask("") == ask(" ___ . ") == []
    assert server.requests == []
    assert adds_up(ask.usage)["blank"] == 2


def test_a_known_sentence_is_not_asked_again(server, prompter):
    server.script = [answer(PROMPTS)]
    first, second = prompter(), prompter(endpoint=server.endpoint.replace("127.0.0.1", "localhost"))
    assert first(SENTENCE) == first(SENTENCE) == second(SENTENCE) == PROMPTS
    assert len(server.requests) == 1
    assert adds_up(first.usage)["cached"] == adds_up(second.usage)["cached"] == 1


def test_an_empty_answer_is_kept_too(server, prompter):
    ask = prompter()
    assert ask(SENTENCE) == ask(SENTENCE) == []
    assert len(server.requests) == 1


def test_the_cache_tells_model_sentence_and_access_apart(server, prompter, tmp_path):
    for settings in ({}, {"model": "other"}, {"access": "open"}):
        prompter(**settings)(SENTENCE)
    prompter()(SENTENCE + " ")
    assert len(server.requests) == 4
    kept = sorted((tmp_path / "cache").rglob("*.json"))
    assert [path.relative_to(tmp_path / "cache").parts[0] for path in kept].count("open") == 1
    for path in kept:
        assert "Zebrafish" not in path.read_text()
        assert path.parent.name == path.stem[:2]
    assert (tmp_path / "cache").stat().st_mode & 0o077 == 0
    expected = sha256(request_body("tiny", SENTENCE)).hexdigest()
    assert expected in [path.stem for path in kept]


@pytest.mark.parametrize(
    "damage",
    [
        lambda text: "",
        lambda text: text[: len(text) // 2],
        lambda text: "[]",
        lambda text: "[" * 100_000,
        lambda text: text.replace("there is shadow", "There was shadow"),
        lambda text: json.dumps({**json.loads(text), "request": "0" * 64}),
        lambda text: json.dumps({"request": json.loads(text)["request"]}),
    ],
)
def test_a_damaged_cache_file_is_asked_anew(server, prompter, tmp_path, damage):
    server.script = [answer(PROMPTS)]
    prompter()(SENTENCE)
    [path] = (tmp_path / "cache").rglob("*.json")
    whole = path.read_text()
    path.write_text(damage(whole))
    assert prompter()(SENTENCE) == PROMPTS
    assert len(server.requests) == 2
    assert path.read_text() == whole
    assert [each for each in path.parent.iterdir() if each != path] == []


def stall(server):
    return lambda handler: server.release.wait(5)


def drip(server):
    """Sends a byte again and again, each well within the time limit."""

    def behave(handler):
        handler.send_response(200)
        handler.send_header("Content-Length", "100000")
        handler.end_headers()
        while not server.release.wait(0.02):
            handler.wfile.write(b" ")

    return behave


def hang_up(handler):
    handler.close_connection = True


def nonsense(handler):
    handler.wfile.write(SENTENCE.encode() + b"\r\n\r\n")


def echo(status):
    """An error whose reason, headers and body repeat the sentence."""
    return reply(status, SENTENCE.encode(), X_Echo=SENTENCE, Location=f"/{SENTENCE}")


GOOD = answer(PROMPTS)
PASSING = {
    "stalls": (stall, "no whole answer within 0.5 s"),
    "drips": (drip, "no whole answer within 0.5 s"),
    "hangs up": (hang_up, "RemoteDisconnected"),
    "speaks another protocol": (nonsense, "BadStatusLine"),
    "500": (echo(500), "status 500"),
    "503": (echo(503), "status 503"),
    "429": (echo(429), "status 429"),
    "half an answer": (reply(200, GOOD[:40], length=len(GOOD)), "before its announced length"),
    "whole, then silence": (reply(200, GOOD, length=len(GOOD) + 9), "announced length"),
    "huge": (reply(200, b" " * (ANSWER_LIMIT + 1)), f"more than {ANSWER_LIMIT} bytes"),
    "not JSON": (SENTENCE.encode(), "an answer that is not JSON"),
    "cut JSON": (GOOD[:-9], "an answer that is not JSON"),
    "not UTF-8": (b'{"choices": "\xff"}', "an answer that is not JSON"),
    "deep JSON": (b"[" * 100_000, "an answer that is not JSON"),
    "empty": (b"", "an answer that is not JSON"),
    "a list": (b"[]", "without choices"),
    "no choices": (b"{}", "without choices"),
    "empty choices": (completion(), "without choices"),
    "choices of nothing": (completion(None), "without choices"),
    "no message": (completion({}), "without choices"),
    "text of nothing": (says(None), "without text"),
    "cut short": (answer(PROMPTS, finish_reason="length"), "largest number of tokens"),
    "prose": (says(SENTENCE), "a text that is not JSON"),
    "fenced": (says('```json\n{"prompts": []}\n```'), "a text that is not JSON"),
    "half a text": (says('{"prompts": ["there is'), "a text that is not JSON"),
    "bare list": (says(json.dumps(PROMPTS)), "JSON that is not"),
    "other key": (says(json.dumps({"prompt": PROMPTS})), "JSON that is not"),
    "further key": (says(json.dumps({"prompts": [], "note": SENTENCE})), "JSON that is not"),
    "one string": (says(json.dumps({"prompts": PROMPTS[0]})), "not a list"),
    "too many": (answer([f"there is nodule {i}" for i in range(PROMPTS_LIMIT + 1)]), "at most"),
    "too long": (answer(["there is " + "a" * LENGTH_LIMIT]), f"more than {LENGTH_LIMIT}"),
}
PASSING |= {
    f"prompt {prompt!r}": (answer(["there is edema", prompt]), "plain lower case")
    for prompt in (
        SENTENCE,
        7,
        None,
        "",
        "edema",
        "no edema",
        "there is",
        "there is no",
        "there is no no edema",
        "there are nodules",
        "There is edema",
        "there is Edema",
        "there is edema.",
        "there is edema\n",
        "there is  edema",
        " there is edema",
        "there isedema",
        "there is œdema",
    )
}


@pytest.mark.parametrize("case", PASSING)
def test_a_passing_fault_is_tried_again(server, prompter, case):
    bad = PASSING[case][0]
    slow = bad in (stall, drip)
    bad = bad(server) if slow else bad
    server.script = [bad, bad, GOOD]
    ask = prompter(timeout=0.5 if slow else 20.0)
    assert ask(SENTENCE) == PROMPTS
    assert server.sentences == [SENTENCE] * 3
    counts = adds_up(ask.usage)
    assert (counts["answered"], counts["asked"], counts["retried"]) == (1, 3, 2)


@pytest.mark.parametrize("case", PASSING)
def test_a_lasting_fault_is_an_error_without_the_sentence(server, prompter, tmp_path, case):
    bad, said = PASSING[case]
    slow = bad in (stall, drip)
    server.script = [bad(server) if slow else bad]
    ask = prompter(timeout=0.5 if slow else 20.0, attempts=2)
    with pytest.raises(PromptingFailed) as caught:
        ask(SENTENCE)
    message = str(caught.value)
    assert said in message and "got none in 2 requests" in message
    assert sha256(SENTENCE.encode()).hexdigest()[:16] in message
    assert "tiny on 127.0.0.1" in message and message.split(". ")[-1]  # ends with the remedy
    assert "Zebrafish" not in everything_said(caught.value)
    assert len(server.requests) == 2
    assert not list(tmp_path.rglob("*.json"))
    assert adds_up(ask.usage) == Usage(sentences=1, failed=1, asked=2, retried=1).counts()


@pytest.mark.parametrize("status", [204, 301, 302, 307, 308, 400, 401, 404])
def test_what_cannot_pass_is_not_tried_again(server, prompter, status):
    with serving() as other:
        server.script = [reply(status, Location=f"{other.endpoint}/chat/completions")]
        ask = prompter()
        with pytest.raises(PromptingFailed, match=f"{status}.*in 1 requests|1 requests.*{status}"):
            ask(SENTENCE)
        assert len(server.requests) == 1
        assert other.requests == []
    assert adds_up(ask.usage)["failed"] == 1


def test_a_redirect_to_a_name_elsewhere_is_not_looked_up(server, prompter, monkeypatch):
    server.script = [reply(307, Location="https://elsewhere.example/v1/chat/completions")]
    ask = prompter()
    asked = []
    real = socket.getaddrinfo

    def spy(host, *rest, **named):
        asked.append(host)
        return real(host, *rest, **named)

    monkeypatch.setattr(socket, "getaddrinfo", spy)
    with pytest.raises(PromptingFailed, match="never followed"):
        ask(SENTENCE)
    assert set(asked) == {"127.0.0.1"}


@pytest.mark.parametrize(
    ("asked", "waited"),
    [
        ("7", [7.0, 7.0]),
        ("0", [0.0, 0.0]),
        ("86400", [llm.LONGEST_WAIT] * 2),
        ("-5", [0.5, 1.0]),
        ("nan", [0.5, 1.0]),
        ("Wed, 21 Oct 2015 07:28:00 GMT", [0.5, 1.0]),
    ],
)
def test_pauses_double_or_follow_the_server(server, prompter, monkeypatch, asked, waited):
    pauses = []
    monkeypatch.setattr(llm.time, "sleep", pauses.append)
    server.script = [reply(429, Retry_After=asked), reply(429, Retry_After=asked), GOOD]
    assert prompter(first_wait=0.5)(SENTENCE) == PROMPTS
    assert pauses == waited


def test_doubling_pauses_are_bounded(server, prompter, monkeypatch):
    pauses = []
    monkeypatch.setattr(llm.time, "sleep", pauses.append)
    server.script = [reply(500)]
    with pytest.raises(PromptingFailed):
        prompter(first_wait=20.0, attempts=5)(SENTENCE)
    assert pauses == [20.0, 40.0, 60.0, 60.0]  # and none after the last request


def test_no_server_at_all(server, prompter, tmp_path):
    with serving() as gone:
        endpoint = gone.endpoint
    ask = prompter(endpoint=endpoint, attempts=2)
    with pytest.raises(PromptingFailed, match="ConnectionRefusedError.*Check that the server runs"):
        ask(SENTENCE)
    assert adds_up(ask.usage)["asked"] == 2


def test_repeats_are_left_out(server, prompter):
    server.script = [answer([*PROMPTS, *PROMPTS])]
    assert prompter()(SENTENCE) == PROMPTS


def test_any_text_can_be_asked(server, prompter):
    server.script = [reply(400)]
    for sentence in ("\ud800 Zebrafish", "Zebrafish " * 20_000, "é\x00 Zebrafish"):
        with pytest.raises(PromptingFailed) as caught:
            prompter()(sentence)
        assert "Zebrafish" not in everything_said(caught.value)
        assert server.sentences[-1] == sentence


def test_proxies_of_the_environment_are_not_used(server, prompter, monkeypatch):
    with serving() as proxy:
        for name in ("http_proxy", "HTTP_PROXY", "https_proxy", "all_proxy", "ALL_PROXY"):
            monkeypatch.setenv(name, f"http://127.0.0.1:{proxy.port}")
        monkeypatch.setenv("no_proxy", "")
        server.script = [GOOD]
        assert prompter()(SENTENCE) == PROMPTS
        assert proxy.requests == []


def test_threads_share_one_prompter(server, prompter):
    server.script = [GOOD]
    ask = prompter()
    with ThreadPoolExecutor(8) as pool:
        found = list(pool.map(ask, [f"Nodule {i}." for i in range(40)] * 2))
    assert found == [PROMPTS] * 80
    assert adds_up(ask.usage)["sentences"] == 80


def test_it_travels_to_other_processes(server, prompter):
    server.script = [GOOD]
    copy = pickle.loads(pickle.dumps(prompter()))
    assert copy == prompter() and copy(SENTENCE) == PROMPTS


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"model": " "}, "model: expected"),
        ({"timeout": 0.0}, "timeout: expected"),
        ({"timeout": float("nan")}, "timeout: expected"),
        ({"attempts": 0}, "attempts: expected"),
        ({"first_wait": -1.0}, "first_wait: expected"),
        ({"api_key": "a\r\nX-Evil: b"}, "api_key: expected"),
        ({"access": "secret"}, "access: expected"),
    ],
)
def test_settings_are_checked(prompter, settings, message):
    with pytest.raises(ValueError, match=message) as caught:
        prompter(**settings)
    assert "Evil" not in str(caught.value)


def test_access_has_no_default(server, tmp_path):
    with pytest.raises(TypeError, match="access"):
        LocalLLMPrompter(endpoint=server.endpoint, model="tiny", cache=tmp_path)
