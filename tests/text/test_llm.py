"""The language-model prompter against a real server that misbehaves on order. Text is our own."""

import json
import pickle
import re
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from hashlib import sha256

import pytest

from offclip.text import Prompter, llm, report_prompts
from offclip.text._llm_messages import LENGTH_LIMIT, PROMPTS_LIMIT, first_messages
from offclip.text.llm import LocalLLMPrompter, PromptingFailed
from tests.text.chat_server import answer, everything_in, reply, says, serving

SENTENCE = "Zebrafish-shaped shadow over the left apex."
PROMPTS = ["there is shadow over left apex", "there is no effusion"]
GOOD = answer(PROMPTS)


def test_it_speaks_the_protocol(server, prompter):
    server.script = [GOOD]
    prompt = prompter(api_key="secret-key")
    assert isinstance(prompt, Prompter)
    assert prompt(SENTENCE) == PROMPTS
    [(path, headers, body)] = server.requests
    request = json.loads(body)
    assert path == "/v1/chat/completions"
    assert headers["Authorization"] == "Bearer secret-key" and "secret-key" not in repr(prompt)
    assert headers["Content-Type"] == "application/json"
    assert request["model"] == "tiny" and request["temperature"] == 0
    assert request["messages"] == first_messages(SENTENCE)
    assert request["messages"][-1] == {"role": "user", "content": SENTENCE}
    schema = request["response_format"]["json_schema"]["schema"]
    assert request["response_format"]["type"] == "json_schema"
    assert schema["required"] == ["prompts"] and schema["additionalProperties"] is False
    assert schema["properties"]["prompts"]["maxItems"] == PROMPTS_LIMIT
    pattern = schema["properties"]["prompts"]["items"]["pattern"]
    assert all(re.search(pattern, each) for each in PROMPTS)
    assert pattern[0] + pattern[-1] == "^$" and "(?" not in pattern  # for grammar compilers
    assert prompt.usage == {"sentences": 1, "answered": 1}


def test_the_examples_keep_the_rules_they_teach(server, prompter):
    messages = first_messages(SENTENCE)
    pairs = list(zip(messages[1:-1:2], messages[2:-1:2], strict=True))
    assert len(pairs) >= 4
    for user, assistant in pairs:
        server.script = [says(assistant["content"])]
        assert prompter()(user["content"]) == json.loads(assistant["content"])["prompts"]


def test_it_serves_a_report(server, prompter):
    server.script = [answer(["there is normal heart"]), answer([])]
    sentences, prompts, without = report_prompts("Normal heart. Call me.", prompter())
    assert (len(sentences), prompts, without) == (2, ["there is normal heart"], 1)
    assert [chat[-1]["content"] for chat in server.chats] == ["Normal heart.", "Call me."]


def test_blank_sentences_need_no_request(server, prompter):
    prompt = prompter()
    assert prompt("") == prompt(" ___ . ") == []
    assert server.requests == []
    assert prompt.usage == {"sentences": 2, "blank": 2}


def test_a_known_sentence_is_not_sent_again(server, prompter):
    server.script = [GOOD]
    first, second = prompter(), prompter(endpoint=server.endpoint.replace("127.0.0.1", "localhost"))
    assert first(SENTENCE) == first(SENTENCE) == second(SENTENCE) == PROMPTS
    assert len(server.requests) == 1
    assert first.usage == {"sentences": 2, "answered": 1, "cached": 1}


def test_the_cache_tells_model_sentence_and_access_apart(server, prompter, tmp_path):
    for settings in ({}, {"model": "other"}, {"access": "open"}):
        prompter(**settings)(SENTENCE)
    prompter()(SENTENCE + " ")
    assert len(server.requests) == 4
    kept = [path.relative_to(tmp_path / "cache") for path in tmp_path.rglob("*.json")]
    assert sorted(path.parts[0] for path in kept) == ["credentialed"] * 3 + ["open"]
    assert all("Zebrafish" not in (tmp_path / "cache" / path).read_text() for path in kept)
    assert (tmp_path / "cache").stat().st_mode & 0o077 == 0


@pytest.mark.parametrize("damage", ["", '{"prompts": [', "[]", '{"prompts": ["There was one"]}'])
def test_a_damaged_cache_file_is_replaced(server, prompter, tmp_path, damage):
    server.script = [GOOD]
    prompter()(SENTENCE)
    [path] = (tmp_path / "cache").rglob("*.json")
    whole = path.read_text()
    path.write_text(damage)
    assert prompter()(SENTENCE) == PROMPTS
    assert len(server.requests) == 2
    assert path.read_text() == whole


def test_repeats_are_left_out(server, prompter):
    server.script = [answer([*PROMPTS, *PROMPTS])]
    assert prompter()(SENTENCE) == PROMPTS


WRONG = {
    "nothing": says(None),
    "prose": says(SENTENCE),
    "fenced": says('```json\n{"prompts": []}\n```'),
    "cut": says('{"prompts": ["there is'),
    "deep": says("[" * 100_000),
    "bare list": says(json.dumps(PROMPTS)),
    "further key": says(json.dumps({"prompts": [], SENTENCE: SENTENCE})),
    "one string": says(json.dumps({"prompts": PROMPTS[0]})),
    "too many": answer([f"there is nodule {i}" for i in range(PROMPTS_LIMIT + 1)]),
    "too long": answer(["there is" + " aaaaaaaaa" * (LENGTH_LIMIT // 10)]),
}
WRONG |= {
    f"prompt {prompt!r}": answer(["there is edema", prompt])
    for prompt in (
        SENTENCE, 7, "", "edema", "there is", "there is no", "there is no no edema",
        "There is edema", "there is edema.", "there is edema\n", "there is  edema",
        "there isedema", "there is œdema",
    )
}  # fmt: skip


@pytest.mark.parametrize("case", WRONG)
def test_a_wrong_answer_goes_back_once_for_repair(server, prompter, tmp_path, case):
    server.script = [WRONG[case], GOOD, WRONG[case]]
    prompt = prompter()
    assert prompt(SENTENCE) == PROMPTS
    first, second = server.chats
    wrong = json.loads(WRONG[case])["choices"][0]["message"]["content"] or ""
    assert second[: len(first)] == first
    assert second[len(first)] == {"role": "assistant", "content": wrong}
    assert second[-1]["role"] == "user" and "not valid" in second[-1]["content"]

    other = SENTENCE + " Zebrafish."
    with pytest.raises(PromptingFailed, match="an unusable answer twice.*larger model") as caught:
        prompt(other)
    assert sha256(other.encode()).hexdigest()[:16] in str(caught.value)
    assert "Zebrafish" not in everything_in(caught.value)
    assert len(server.requests) == 4 and len(list(tmp_path.rglob("*.json"))) == 1
    assert prompt.usage == {"sentences": 2, "answered": 1, "failed": 1}


def hang_up(handler):
    handler.close_connection = True


def nonsense(handler):
    handler.wfile.write(SENTENCE.encode() + b"\r\n\r\n")


PASSING = {
    "hangs up": (hang_up, "no complete response .RemoteProtocolError"),
    "speaks another protocol": (nonsense, "no complete response"),
    "half": (reply(200, GOOD[:40], length=len(GOOD)), "no complete response"),
    "500": (reply(500, SENTENCE.encode(), X_Echo=SENTENCE), "status 500"),
    "429": (reply(429), "status 429"),
}


@pytest.mark.parametrize("case", PASSING)
def test_what_may_pass_is_tried_again(server, prompter, tmp_path, case):
    behaviour, problem = PASSING[case]
    server.script = [behaviour, behaviour, GOOD]
    assert prompter()(SENTENCE) == PROMPTS
    assert [chat[-1]["content"] for chat in server.chats] == [SENTENCE] * 3
    server.script = [behaviour]
    with pytest.raises(PromptingFailed, match=f"{problem}.* in 2 attempts") as caught:
        prompter(attempts=2, cache=tmp_path / "other")(SENTENCE)
    assert "Zebrafish" not in everything_in(caught.value)


def test_a_server_that_stalls_meets_the_time_limit(server, prompter):
    server.script = [lambda handler: server.release.wait(5)]
    with pytest.raises(PromptingFailed, match="ReadTimeout.*more time with timeout"):
        prompter(timeout=0.2, attempts=1)(SENTENCE)


def test_no_server_at_all(prompter):
    with serving() as gone:
        endpoint = gone.endpoint
    with pytest.raises(PromptingFailed, match="no connection.*Check that the server runs"):
        prompter(endpoint=endpoint, attempts=2)(SENTENCE)


@pytest.mark.parametrize("status", [204, 301, 307, 400, 401, 404])
def test_what_cannot_pass_is_not_tried_again(server, prompter, status):
    with serving() as other:
        server.script = [reply(status, Location=f"{other.endpoint}/chat/completions")]
        with pytest.raises(PromptingFailed, match=f"status {status}. Check endpoint"):
            prompter()(SENTENCE)
        assert len(server.requests) == 1
        assert other.requests == []  # a redirect is not followed


@pytest.mark.parametrize("body", [b"", SENTENCE.encode(), b"[]", b"{}", b'{"choices": []}'])
def test_a_server_of_another_protocol_is_named(server, prompter, body):
    server.script = [body]
    with pytest.raises(PromptingFailed, match="no chat completion. Check endpoint") as caught:
        prompter()(SENTENCE)
    assert "Zebrafish" not in everything_in(caught.value)


def test_an_answer_cut_short_is_named(server, prompter):
    server.script = [says('{"prompts": [', finish_reason="length")]
    with pytest.raises(PromptingFailed, match="cut short at 2048 tokens.*reasoning"):
        prompter()(SENTENCE)
    assert len(server.requests) == 1


@pytest.mark.parametrize(
    ("named", "waited"),
    [("7", [7.0, 7.0, 7.0]), ("86400", [llm.LONGEST_WAIT] * 3), ("soon", [20.0, 40.0, 60.0])],
)
def test_pauses_double_or_follow_the_server(server, prompter, monkeypatch, named, waited):
    pauses = []
    monkeypatch.setattr(llm.time, "sleep", pauses.append)
    server.script = [reply(429, Retry_After=named)]
    with pytest.raises(PromptingFailed):
        prompter(first_wait=20.0)(SENTENCE)
    assert pauses == waited  # and none after the last attempt


def test_proxies_of_the_environment_are_not_used(server, prompter, monkeypatch):
    with serving() as proxy:
        for name in ("http_proxy", "HTTP_PROXY", "https_proxy", "all_proxy", "ALL_PROXY"):
            monkeypatch.setenv(name, f"http://127.0.0.1:{proxy.port}")
        monkeypatch.setenv("no_proxy", "")
        server.script = [GOOD]
        assert prompter()(SENTENCE) == PROMPTS
        assert proxy.requests == []


def test_any_text_can_be_sent(server, prompter):
    server.script = [GOOD]
    for sentence in ("\ud800 Zebrafish", "Zebrafish " * 20_000, "é\x00 Zebrafish"):
        assert prompter()(sentence) == PROMPTS
        assert server.chats[-1][-1]["content"] == sentence


def test_threads_share_one_prompter(server, prompter):
    server.script = [GOOD]
    prompt = prompter()
    with ThreadPoolExecutor(8) as pool:
        results = list(pool.map(prompt, [f"Nodule {i}." for i in range(20)] * 2))
    assert results == [PROMPTS] * 40
    assert prompt.usage["sentences"] == 40
    assert prompt.usage["answered"] + prompt.usage["cached"] == 40


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


@pytest.mark.parametrize("package", ["httpx2", "pydantic"])
def test_a_missing_package_is_named_with_its_extra(package):
    code = (
        f"import sys; sys.modules[{package!r}] = None; import offclip.text; import offclip.text.llm"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    assert f"needs the package {package}: pip install 'offclip[llm]'" in done.stderr
