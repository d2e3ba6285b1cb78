"""Coverage-guided fuzzing of the way from report text to kept prompts, with Atheris.

    make fuzz SECONDS=300

Bytes become text as a careless reader would make it: UTF-8 with surrogates for what is not, or
Latin-1. What must hold for any text: no exception, counts that add up, prompts in their form, and
sentences whose letters stand in the part about the image, in this order. Starts from the invented
reports beside this file. Stops at the first failure and says what it read.
"""

import argparse
import sys
from pathlib import Path

import atheris
import yaml

with atheris.instrument_imports(include=["offclip.text"]):
    from offclip.text import NgramClassifier, RulePrompter, image_text, read_report, split_sections

HERE = Path(__file__).parent
WORDS = (
    "FINDINGS:", "Impression:", "FINAL REPORT", "\\x0a\\x0a", "1. ", "XXXX", "___", "no ",
    "without ", "not seen on the prior", "cannot be excluded", "no change in ", "may represent ",
    " is normal",
    "free of ", ", and ", "; ", "effusion", "costophrenic ", "1.5 x 2 cm", "Dr. ", "(", "'s ",
)  # fmt: skip
CLASSIFIER = NgramClassifier.fit(
    [["no effusion", "clear lungs"], ["there is an effusion", "a nodule", "no mass"]], [True, False]
)


def letters(text: str) -> str:
    """Return the letters of a text in order."""
    return "".join(filter(str.isalpha, text))


def read(data: bytes) -> None:
    """Read one input and check what must hold."""
    kind, body = data[:1], data[1:]
    odd = kind and kind[0] % 2
    text = body.decode("latin-1") if odd else body.decode("utf-8", errors="surrogateescape")
    found = read_report(text, RulePrompter(), CLASSIFIER)
    counts = found.counts
    assert counts["sentences"] == counts["normal"] + counts["abnormal"] + counts["uncertain"]
    assert counts["prompts"] == counts["kept"] + counts["dropped"]
    assert all(0 <= each.probability <= 1 for each in found.sentences)
    for prompt in (prompt for each in found.sentences for prompt in each.prompts):
        assert prompt.startswith("there is ") and prompt.replace(" ", "").isalnum(), prompt
    about = iter(letters(image_text(split_sections(text))))
    kept = letters("".join(each.text for each in found.sentences))
    assert all(letter in about for letter in kept)


def main() -> None:
    """Fuzz for the time given."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--seconds", type=int, default=180)
    parser.add_argument("--corpus", type=Path, default=Path("runs/fuzz"))
    options = parser.parse_args()
    options.corpus.mkdir(parents=True, exist_ok=True)
    reports = yaml.safe_load((HERE / "reports.yaml").read_text(encoding="utf-8"))
    for report in reports:
        text = report["text"]
        if isinstance(text, dict):
            text = "\n\n".join(f"{name}: {body}" for name, body in text.items())
        (options.corpus / report["id"]).write_bytes(b"\0" + text.encode())
    words = options.corpus.with_suffix(".dict")
    words.write_text("".join(f'"{word}"\n' for word in WORDS), encoding="utf-8")
    limits = [
        f"-dict={words}",
        f"-max_total_time={options.seconds}",
        "-max_len=4096",
        "-timeout=10",
    ]
    atheris.Setup([sys.argv[0], *limits, str(options.corpus)], read)
    atheris.Fuzz()


if __name__ == "__main__":
    main()
