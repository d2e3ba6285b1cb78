"""What the prompter does when the server misbehaves. Text is our own."""

import json
import socket
from hashlib import sha256

import pytest

from offclip.text import PromptingFailed, Usage, llm
from offclip.text._chat import ANSWER_LIMIT, Fault
from offclip.text._rewriting import LENGTH_LIMIT, PROMPTS_LIMIT, read_answer
from tests.text.chat_server import (
    adds_up,
    answer,
    completion,
    everything_said,
    reply,
    says,
    serving,
)

SENTENCE = "Zebrafish-shaped shadow over the left apex."
PROMPTS = ["there is shadow over left apex", "there is no effusion"]


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
    assert said in message and "got none after 2 of 2 requests" in message
    assert sha256(SENTENCE.encode()).hexdigest()[:16] in message
    assert "tiny on 127.0.0.1" in message and message.split(". ")[-1]  # ends with the remedy
    assert "Zebrafish" not in everything_said(caught.value)
    assert len(server.requests) == 2
    assert not list(tmp_path.rglob("*.json"))
    assert adds_up(ask.usage) == Usage(sentences=1, failed=1, asked=2, retried=1).counts()


@pytest.mark.parametrize("body", [SENTENCE.encode(), says(SENTENCE), completion(SENTENCE)])
def test_a_fault_carries_no_text_along(body):
    with pytest.raises(Fault) as caught:
        read_answer(body)
    assert "Zebrafish" not in everything_said(caught.value)


@pytest.mark.parametrize("status", [204, 301, 302, 307, 308, 400, 401, 404])
def test_what_cannot_pass_is_not_tried_again(server, prompter, status):
    with serving() as other:
        server.script = [reply(status, Location=f"{other.endpoint}/chat/completions")]
        ask = prompter()
        with pytest.raises(PromptingFailed, match=f"after 1 of 4 requests.*{status}"):
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


def test_any_text_can_be_asked(server, prompter):
    server.script = [reply(400)]
    for sentence in ("\ud800 Zebrafish", "Zebrafish " * 20_000, "é\x00 Zebrafish"):
        with pytest.raises(PromptingFailed) as caught:
            prompter()(sentence)
        assert "Zebrafish" not in everything_said(caught.value)
        assert server.sentences[-1] == sentence
