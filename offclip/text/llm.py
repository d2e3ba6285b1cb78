"""From a report sentence to prompts by a language model on a local, OpenAI-compatible server.

The paper uses a hosted model. Here the server is the user's own, such as llama.cpp, vLLM or
Ollama, and ``offclip.text.destination`` decides where text may go. Standard library only.
"""

import hashlib
import json
import re
import threading
import time
from dataclasses import asdict, dataclass, field
from pathlib import Path

from offclip.files import write_json
from offclip.text._chat import Fault, post
from offclip.text._rewriting import checked_prompts, read_answer, request_body
from offclip.text.destination import OPEN_ACCESS, Destination, TextPermission, destination

LONGEST_WAIT = 60.0
"""Longest pause between two requests, in seconds, whatever the server asks for."""
_COUNTING = threading.Lock()


class PromptingFailed(RuntimeError):
    """A sentence got no usable answer; names its digest, the last fault and the remedy."""


@dataclass
class Usage:
    """What became of the sentences and requests of one prompter. Threads may share it.

    After every call ``sentences = blank + cached + refused + answered + failed`` and
    ``asked = answered + failed + retried``.

    Attributes:
        sentences: calls of the prompter.
        blank: sentences without a letter or digit, which need no answer.
        cached: answered from the disk.
        refused: stopped by the access rule, with nothing sent.
        answered: answered by the server.
        failed: given up on after the last request.
        asked: requests made.
        retried: those of them that repeat an earlier one.
    """

    sentences: int = 0
    blank: int = 0
    cached: int = 0
    refused: int = 0
    answered: int = 0
    failed: int = 0
    asked: int = 0
    retried: int = 0

    def add(self, **counts: int) -> None:
        """Add to the named counters."""
        with _COUNTING:
            for name, count in counts.items():
                setattr(self, name, getattr(self, name) + count)

    def counts(self) -> dict[str, int]:
        """Return all counters by name."""
        with _COUNTING:
            return asdict(self)


@dataclass(frozen=True, kw_only=True)
class LocalLLMPrompter:
    """Prompter that asks a chat-completions server, one request a sentence, at temperature 0.

    Every answer is checked against a JSON schema, which is also sent as ``response_format``. Time
    limits, connection errors, statuses 429 and 5xx and malformed answers are tried again, with
    pauses that double or that the server asks for (``Retry-After`` in seconds). Redirects are
    never followed and proxies of the environment never used.

    Answers are kept in the cache under the sha256 of the whole request (model, instructions,
    sentence), so another server with the same model name finds them, and changed instructions do
    not. The cache holds text derived from reports. It belongs to the same access class as the
    reports, in a folder of that name, and must be kept and shared only as they are.

    The access rule sees where a request goes, not what the server does with it. A server on this
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
        timeout: seconds for each wait and for the answer's body.
        attempts: most requests for one sentence.
        first_wait: seconds before the second request; doubles before each further one.
        usage: counters of this prompter.

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
    usage: Usage = field(default_factory=Usage, compare=False)

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
        self.usage.add(sentences=1)
        if not re.search(r"[^\W_]", sentence):
            self.usage.add(blank=1)
            return []
        body = request_body(self.model, sentence)
        digest = hashlib.sha256(body).hexdigest()
        path = Path(self.cache) / self.access / digest[:2] / f"{digest}.json"
        kept = _read_cached(path, digest)
        if kept is not None:
            self.usage.add(cached=1)
            return kept
        prompts = self._ask(body, sentence)
        Path(self.cache).mkdir(mode=0o700, parents=True, exist_ok=True)
        write_json(path, {"request": digest, "prompts": prompts})
        return prompts

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

    def _ask(self, body: bytes, sentence: str) -> list[str]:
        """Ask until there is a usable answer or no request left."""
        try:
            where = self._destination()
        except ValueError:
            self.usage.add(refused=1)
            raise
        attempt = 1
        while True:
            self.usage.add(asked=1, retried=int(attempt > 1))
            outcome = self._once(where, body)
            if isinstance(outcome, list):
                self.usage.add(answered=1)
                return outcome
            if not outcome.again or attempt == self.attempts:
                break
            wait = self.first_wait * 2 ** (attempt - 1) if outcome.wait is None else outcome.wait
            time.sleep(min(wait, LONGEST_WAIT))
            attempt += 1
        self.usage.add(failed=1)
        sha256 = hashlib.sha256(sentence.encode("utf-8", "surrogatepass")).hexdigest()
        raise PromptingFailed(
            f"{self.model} on {where.host}: expected prompts for the sentence with sha256 "
            f"{sha256[:16]}, got none after {attempt} of {self.attempts} requests. "
            f"Last fault: {outcome.said}. {outcome.remedy}"
        )

    def _once(self, where: Destination, body: bytes) -> list[str] | Fault:
        """Return the answer to one request, or its fault."""
        try:
            return read_answer(post(where, body, api_key=self.api_key, timeout=self.timeout))
        except Fault as fault:
            return fault


def _read_cached(path: Path, digest: str) -> list[str] | None:
    """Return the kept prompts, or None when there are none or the file is damaged."""
    try:
        value = json.loads(path.read_bytes())
        if value["request"] != digest:
            return None
        return checked_prompts({"prompts": value["prompts"]})
    except (OSError, ValueError, LookupError, TypeError, RecursionError, Fault):
        return None
