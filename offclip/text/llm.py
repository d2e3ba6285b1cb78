"""From a report sentence to prompts by a language model on a local, OpenAI-compatible server.

The paper uses a hosted model. Here the server is the user's own, such as llama.cpp, vLLM or
Ollama, and ``offclip.text.destination`` decides where text may go. Needs httpx2 and pydantic
(``pip install "offclip[llm]"``), so ``offclip.text`` does not import it: write
``from offclip.text.llm import LocalLLMPrompter``.
"""

import hashlib
import json
import re
import ssl
import threading
import time
from collections import Counter
from dataclasses import dataclass, field
from pathlib import Path

from offclip.files import write_json
from offclip.text.destination import OPEN_ACCESS, Destination, TextPermission, destination

try:
    import httpx2
    from pydantic import ValidationError

    from offclip.text import _llm_messages as chat
except ModuleNotFoundError as error:
    raise ModuleNotFoundError(
        f"offclip.text.llm needs the package {error.name}: pip install 'offclip[llm]'"
    ) from error

LONGEST_WAIT = 60.0
"""Longest pause between two requests, in seconds, whatever the server asks for."""
TOKENS_LIMIT = 2048
"""Largest number of tokens of an answer: about a thousand words, more than any valid list."""
_SCHEMA = {"name": "prompts", "strict": True, "schema": chat.Answer.model_json_schema()}
_COUNTING = threading.Lock()
_SERVER_HINT = "Check that the server runs, and give it more time with timeout"
_SETUP_HINT = "Check endpoint, model and api_key against the server's documentation"
_MODEL_HINT = "Use a server that honours response_format with a JSON schema, or a larger model"
_TOKENS_HINT = "Choose a model that answers without reasoning, or switch reasoning off"


class PromptingFailed(RuntimeError):
    """A sentence got no usable answer; names its digest, the last problem and a hint."""


class _NoAnswer(Exception):
    """A problem and a hint; holds nothing of the sentence or of the answer."""


@dataclass(frozen=True, kw_only=True)
class LocalLLMPrompter:
    """Prompter that sends each sentence to a chat-completions server, at temperature 0.

    Time limits, connection errors and statuses 429 and 5xx are tried again, with pauses that
    double or that the server names (``Retry-After`` in seconds). Every answer is checked against a
    JSON schema, which is also sent as ``response_format``; a wrong one goes back to the model once
    for repair. Redirects are never followed and proxies of the environment never used.

    Answers are kept in the cache under the sha256 of model and messages (instructions, sentence),
    so another server with the same model name gets them, and changed instructions do not. The
    cache holds text derived from reports. It belongs to the same access class as the reports, in a
    folder of that name, and must be kept and shared only as they are.

    The access rule covers where a request goes, not what the server does with it. A server on this
    machine may itself forward text elsewhere. Models that Ollama marks as hosted ("...:cloud",
    "...-cloud") are therefore refused for restricted data unless the permission names ollama.com.
    The rest is up to the user.

    Attributes:
        endpoint: base address of the server, such as "http://127.0.0.1:8080/v1".
        model: name of the model, as the server knows it.
        access: access class of the text (see ``destination``); no default, on purpose.
        cache: folder of the answers.
        permission: the signed statement that admits a host elsewhere, or None.
        api_key: bearer token of the server; empty for none.
        timeout: seconds to connect, and for each wait for the server.
        attempts: most requests for one answer.
        first_wait: seconds before the second request; doubles before each further one.
        usage: what became of the sentences so far. ``sentences`` is the sum of ``blank`` (without
            a letter or digit), ``cached``, ``answered`` by the server, and ``failed``.

    Raises:
        ValueError: on construction, for a server that the access rule does not admit or a setting
            outside its range.
    """

    endpoint: str
    model: str
    access: str
    cache: str | Path
    permission: TextPermission | None = None
    api_key: str = field(default="", repr=False)
    timeout: float = 60.0
    attempts: int = 4
    first_wait: float = 1.0
    usage: Counter[str] = field(default_factory=Counter, compare=False)

    def __post_init__(self) -> None:
        """Check the settings; nothing is sent."""
        if not self.model.strip():
            raise ValueError("model: expected the server's name of a model, got none; name it")
        if not re.fullmatch(r"[!-~]*", self.api_key):
            raise ValueError(
                "api_key: expected ASCII without spaces, got other characters; copy it again"
            )
        for name, value in (("timeout", self.timeout), ("attempts", self.attempts)):
            if not 0 < value < float("inf"):
                raise ValueError(f"{name}: expected a positive number, got {value}; raise it")
        if not 0 <= self.first_wait < float("inf"):
            raise ValueError(
                f"first_wait: expected seconds of 0 or more, got {self.first_wait}; correct it"
            )
        self._destination()

    def __call__(self, sentence: str) -> list[str]:
        """Return the prompts of one sentence, without repeats; from the cache where it is known.

        Raises:
            ValueError: the host is no longer admitted (its name means another address now).
            PromptingFailed: no usable answer. Answers so far are in the cache, so a second run
                goes on where this one stopped.
        """
        self._count("sentences")
        if not re.search(r"[^\W_]", sentence):
            self._count("blank")
            return []
        messages = chat.first_messages(sentence)
        path = self._path(messages)
        answer = _cached(path)
        if answer is not None:
            self._count("cached")
            return answer.prompts
        outcome = "failed"
        try:
            answer = self._answer(messages)
            outcome = "answered"
        except _NoAnswer as failure:
            digest = hashlib.sha256(sentence.encode("utf-8", "surrogatepass")).hexdigest()
            raise PromptingFailed(
                f"{self.model} on {self.endpoint}: expected prompts for the sentence with sha256 "
                f"{digest[:16]}, got {failure}"
            ) from None
        finally:
            self._count(outcome)
        Path(self.cache).mkdir(mode=0o700, parents=True, exist_ok=True)
        write_json(path, answer.model_dump())
        return answer.prompts

    def _count(self, name: str) -> None:
        with _COUNTING:  # threads may share a prompter
            self.usage[name] += 1

    def _path(self, messages: chat.Messages) -> Path:
        key = json.dumps({"model": self.model, "messages": messages}, sort_keys=True)
        digest = hashlib.sha256(key.encode("ascii")).hexdigest()
        return Path(self.cache) / self.access / digest[:2] / f"{digest}.json"

    def _destination(self) -> Destination:
        where = destination(self.endpoint, self.access, self.permission)
        hosted = re.search(r"[:-]cloud$", self.model.lower())
        signed = self.permission is not None and "ollama.com" in self.permission.hosts
        if hosted and self.access not in OPEN_ACCESS and not signed:
            raise ValueError(
                f"model: expected one that runs on this machine for {self.access} data, got the "
                f"hosted {self.model!r}. Nothing was sent. Choose a local model, or hand in a "
                "TextPermission for ollama.com if your data-use agreement allows it"
            )
        return where

    def _answer(self, messages: chat.Messages) -> chat.Answer:
        """Return the model's answer; one that is against the schema goes back once for repair."""
        where = self._destination()
        headers = {"Host": where.host, "Content-Type": "application/json"}
        if self.api_key:
            headers["Authorization"] = f"Bearer {self.api_key}"
        with httpx2.Client(
            headers=headers,
            timeout=self.timeout,
            follow_redirects=False,
            trust_env=False,
            verify=ssl.create_default_context(),
        ) as client:
            for _ in range(2):
                text = self._complete(client, where, messages)
                try:
                    return chat.Answer.model_validate_json(text)
                except ValidationError as error:
                    problem = error.errors()[0]["msg"]  # the broken rule, nothing of the text
                messages = [*messages, *chat.repair_messages(text, problem)]
        raise _NoAnswer(f"an unusable answer twice ({problem}). {_MODEL_HINT}")

    def _complete(self, client: httpx2.Client, where: Destination, messages: chat.Messages) -> str:
        """Return the text of one chat completion."""
        request = {
            "model": self.model,
            "messages": messages,
            "temperature": 0,
            "max_tokens": TOKENS_LIMIT,
            "response_format": {"type": "json_schema", "json_schema": _SCHEMA},
        }
        body = self._post(client, where, json.dumps(request).encode("ascii"))
        try:
            choice = chat.Completion.model_validate_json(body).choices[0]
        except ValidationError:
            choice = None
        if choice is None:
            raise _NoAnswer(f"a response that is no chat completion. {_SETUP_HINT}")
        if choice.finish_reason == "length":
            raise _NoAnswer(f"a text cut short at {TOKENS_LIMIT} tokens. {_TOKENS_HINT}")
        return choice.message.content or ""

    def _post(self, client: httpx2.Client, where: Destination, body: bytes) -> bytes:
        """Return the body of a response; what may pass is tried again."""
        certified = {"sni_hostname": where.name}  # where the URL has the address of this name
        pause = self.first_wait
        for attempt in range(1, self.attempts + 1):
            wait = pause
            try:
                response = client.post(where.url, content=body, extensions=certified)
            except httpx2.ConnectError as error:  # before anything was sent: it holds no text
                problem = f"no connection ({error})"
            except httpx2.RequestError as error:
                problem = f"no complete response ({type(error).__name__})"
            else:
                problem = f"status {response.status_code}"
                if response.status_code == 200:
                    return response.content
                if response.status_code != 429 and response.status_code < 500:
                    raise _NoAnswer(f"{problem}. {_SETUP_HINT}")
                named = response.headers.get("Retry-After", "")
                wait = float(named) if named.isdecimal() else pause
            if attempt < self.attempts:
                time.sleep(min(wait, LONGEST_WAIT))
            pause *= 2
        raise _NoAnswer(f"{problem} in {self.attempts} attempts. {_SERVER_HINT}")


def _cached(path: Path) -> chat.Answer | None:
    """Return the kept answer, or None when there is none or the file is damaged."""
    try:
        return chat.Answer.model_validate_json(path.read_bytes())
    except (OSError, ValidationError):
        return None
