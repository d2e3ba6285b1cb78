"""What a language model is asked, and what counts as an answer: instructions, examples, schema.

All sentences here are our own. Imports the fault of an unusable answer.
"""

import json
import re
from typing import Any

from offclip.text._chat import Fault

PROMPTS_LIMIT = 24
"""Largest number of prompts of one sentence."""
LENGTH_LIMIT = 200
"""Largest number of characters of one prompt."""
_TOKENS_LIMIT = 2048  # room for about a thousand words: more than any list within the limits needs

_INSTRUCTIONS = """\
You rewrite one sentence of a chest radiograph report into short statements about the image.
Answer with JSON only: {"prompts": [...]}.
- Each statement begins with "there is" or "there is no". Lower case, no punctuation.
- One finding a statement. A negation counts for every item of its list.
- Keep side, place, severity and type. Write nouns in the singular.
- What the reader only suspects is "possible".
- "Normal", "clear" and "unremarkable" belong to a structure: "there is normal heart".
- Leave out comparisons with earlier images, measurements, dates, names and blanks.
- Add nothing that the sentence does not say.
- A sentence that says nothing about the image gives an empty list."""

_EXAMPLES: tuple[tuple[str, list[str]], ...] = (
    (
        "No edema, effusion or displaced rib fracture.",
        ["there is no edema", "there is no effusion", "there is no displaced rib fracture"],
    ),
    (
        "Faint haze at the right base could be early pneumonia.",
        ["there is faint haze at right base", "there is possible early pneumonia"],
    ),
    (
        "The small left effusion has grown since Monday.",
        ["there is small left effusion"],
    ),
    (
        "Heart and hila look normal, with a pacemaker on the left.",
        ["there is normal heart", "there is normal hilum", "there is left pacemaker"],
    ),
    ("Please repeat the film in six weeks.", []),
)

_PROMPT = re.compile(r"there is (?:no )?(?!no\b)[a-z0-9]+(?:[ -][a-z0-9]+)*")
_SCHEMA = {
    "type": "object",
    "properties": {
        "prompts": {
            "type": "array",
            "maxItems": PROMPTS_LIMIT,
            # What grammar compilers of local servers accept: both anchors, plain groups, and
            # bounds inside the pattern, since they ignore maxLength beside one.
            "items": {
                "type": "string",
                "pattern": "^there is (no )?[a-z0-9]{1,32}([ -][a-z0-9]{1,32}){0,24}$",
            },
        }
    },
    "required": ["prompts"],
    "additionalProperties": False,
}
_REMEDY = "Use a server that honours response_format with a JSON schema, or a more capable model"


def request_body(model: str, sentence: str) -> bytes:
    """Return the chat-completions request for one sentence, as JSON in ASCII.

    The same model, instructions and sentence give the same bytes on every machine.
    """
    messages = [{"role": "system", "content": _INSTRUCTIONS}]
    for example, prompts in _EXAMPLES:
        messages.append({"role": "user", "content": example})
        messages.append({"role": "assistant", "content": json.dumps({"prompts": prompts})})
    messages.append({"role": "user", "content": sentence})
    request = {
        "model": model,
        "messages": messages,
        "temperature": 0,
        "max_tokens": _TOKENS_LIMIT,
        "response_format": {
            "type": "json_schema",
            "json_schema": {"name": "prompts", "strict": True, "schema": _SCHEMA},
        },
    }
    return json.dumps(request, sort_keys=True).encode("ascii")


def read_answer(body: bytes) -> list[str]:
    """Return the prompts of a chat-completions answer, without repeats.

    Raises:
        Fault: not JSON, no choice, an answer that was cut short, or one against the schema.
    """
    answer = _parse(body, "an answer")
    try:
        choice = answer["choices"][0]
        content = choice["message"]["content"]
        cut = choice.get("finish_reason") == "length"
    except (LookupError, TypeError, AttributeError):
        choice = None
    if choice is None:
        raise Fault("an answer without choices or content", _REMEDY)
    if cut:
        raise Fault("a text cut short at the largest number of tokens", _REMEDY)
    if not isinstance(content, str):
        raise Fault("an answer without text", _REMEDY)
    return checked_prompts(_parse(content, "a text"))


def checked_prompts(value: Any) -> list[str]:
    """Return ``value["prompts"]`` without repeats, if the value has the agreed form.

    Raises:
        Fault: anything but the one key, too many prompts, or one that is too long, not lower
            case, punctuated, or without "there is" and a word at least.
    """
    if not isinstance(value, dict) or set(value) != {"prompts"}:
        raise Fault('JSON that is not {"prompts": [...]}', _REMEDY)
    prompts = value["prompts"]
    if not isinstance(prompts, list) or len(prompts) > PROMPTS_LIMIT:
        raise Fault(f"prompts that are not a list of at most {PROMPTS_LIMIT}", _REMEDY)
    for prompt in prompts:
        if not isinstance(prompt, str) or not _PROMPT.fullmatch(prompt):
            raise Fault('a prompt that is not "there is ..." in plain lower case', _REMEDY)
        if len(prompt) > LENGTH_LIMIT:
            raise Fault(f"a prompt of more than {LENGTH_LIMIT} characters", _REMEDY)
    return list(dict.fromkeys(prompts))


def _parse(text: str | bytes, what: str) -> Any:
    """Return parsed JSON; the fault is raised outside the handler, so it carries no text along."""
    try:
        return json.loads(text)
    except (ValueError, RecursionError):
        pass
    raise Fault(f"{what} that is not JSON", _REMEDY)
