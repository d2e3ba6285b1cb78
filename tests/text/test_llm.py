"""The language-model prompter against a real server that misbehaves on order. Text is our own."""

import json
import pickle
import re
from concurrent.futures import ThreadPoolExecutor
from hashlib import sha256

import pytest

from offclip.text import LocalLLMPrompter, Prompter, Usage, report_prompts
from offclip.text._rewriting import PROMPTS_LIMIT, request_body
from tests.text.chat_server import adds_up, answer, says, serving

SENTENCE = "Zebrafish-shaped shadow over the left apex."
PROMPTS = ["there is shadow over left apex", "there is no effusion"]


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


def test_repeats_are_left_out(server, prompter):
    server.script = [answer([*PROMPTS, *PROMPTS])]
    assert prompter()(SENTENCE) == PROMPTS


def test_proxies_of_the_environment_are_not_used(server, prompter, monkeypatch):
    with serving() as proxy:
        for name in ("http_proxy", "HTTP_PROXY", "https_proxy", "all_proxy", "ALL_PROXY"):
            monkeypatch.setenv(name, f"http://127.0.0.1:{proxy.port}")
        monkeypatch.setenv("no_proxy", "")
        server.script = [answer(PROMPTS)]
        assert prompter()(SENTENCE) == PROMPTS
        assert proxy.requests == []


def test_threads_share_one_prompter(server, prompter):
    server.script = [answer(PROMPTS)]
    ask = prompter()
    with ThreadPoolExecutor(8) as pool:
        found = list(pool.map(ask, [f"Nodule {i}." for i in range(40)] * 2))
    assert found == [PROMPTS] * 80
    assert adds_up(ask.usage)["sentences"] == 80


def test_it_travels_to_other_processes(server, prompter):
    server.script = [answer(PROMPTS)]
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
