"""What a language model gets, and what counts as its answer: instructions, examples, schema.

All sentences here are our own. Needs pydantic (``pip install "offclip[llm]"``).
"""

import json
from typing import Annotated

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, StringConstraints

PROMPTS_LIMIT = 24
"""Largest number of prompts of one sentence."""
LENGTH_LIMIT = 200
"""Largest number of characters of one prompt."""
# Both anchors, plain groups and bounds within the pattern: what grammar compilers of local servers
# accept. They ignore maxLength next to a pattern.
_PATTERN = "^there is (no )?[a-z0-9]{1,32}([ -][a-z0-9]{1,32}){0,24}$"

_INSTRUCTIONS = """\
You rewrite one sentence of a chest radiograph report into short statements about the image.
Answer with JSON only: {"prompts": [...]}.
- Each statement begins with "there is" or "there is no". Lower case, no punctuation.
- One finding per statement. A negation counts for every item of its list.
- Keep side, place, severity and type. Write nouns in the singular.
- What the reader only suspects is "possible".
- "Normal", "clear" and "unremarkable" belong to a structure: "there is normal heart".
- Leave out comparisons with earlier images, measurements, dates, names and blanks.
- Add nothing that the sentence does not say.
- A sentence that says nothing about the image gives an empty list."""

_EXAMPLES = {
    "No edema, effusion or displaced rib fracture.": [
        "there is no edema",
        "there is no effusion",
        "there is no displaced rib fracture",
    ],
    "Faint haze at the right base could be early pneumonia.": [
        "there is faint haze at right base",
        "there is possible early pneumonia",
    ],
    "The small left effusion has grown since Monday.": ["there is small left effusion"],
    "Heart and hila look normal, with a pacemaker on the left.": [
        "there is normal heart",
        "there is normal hilum",
        "there is left pacemaker",
    ],
    "Please repeat the radiograph in six weeks.": [],
}


Messages = list[dict[str, str]]


def _names_something(prompt: str) -> str:
    if prompt.split()[-1] == "no" or "no no" in prompt:
        raise ValueError('expected a finding after "there is no"')
    return prompt


def _without_repeats(prompts: list[str]) -> list[str]:
    return list(dict.fromkeys(prompts))


Prompt = Annotated[
    str,
    StringConstraints(pattern=_PATTERN, max_length=LENGTH_LIMIT),
    AfterValidator(_names_something),
]


class Answer(BaseModel):
    """Prompts of one sentence."""

    model_config = ConfigDict(extra="forbid", strict=True)

    prompts: Annotated[
        list[Prompt], Field(max_length=PROMPTS_LIMIT), AfterValidator(_without_repeats)
    ]


class _Message(BaseModel):
    content: str | None = None


class _Choice(BaseModel):
    message: _Message
    finish_reason: str | None = None


class Completion(BaseModel):
    """A server's response to a chat-completions request; other fields are ignored."""

    choices: Annotated[list[_Choice], Field(min_length=1)]


def first_messages(sentence: str) -> Messages:
    """Return the chat that begins with the instructions and examples and ends with a sentence."""
    messages = [{"role": "system", "content": _INSTRUCTIONS}]
    for example, prompts in _EXAMPLES.items():
        messages.append({"role": "user", "content": example})
        messages.append({"role": "assistant", "content": json.dumps({"prompts": prompts})})
    return [*messages, {"role": "user", "content": sentence}]


def repair_messages(text: str, problem: str) -> Messages:
    """Return what follows an unusable answer in the chat."""
    request = f'This answer is not valid: {problem}. Answer with JSON only: {{"prompts": [...]}}.'
    return [{"role": "assistant", "content": text}, {"role": "user", "content": request}]
