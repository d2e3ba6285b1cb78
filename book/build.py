"""``make book``: check the parameters, execute the notebooks, build the pages, check the pages.

Run: ``python -m book.build [--params laptop]``. Exit code 1 with the reason where a step fails;
what is finished stays, so a second run goes on from there.
"""

import argparse
import os
import subprocess
import sys
import time
from pathlib import Path

import yaml

from book.checks import page_faults, toc_files, toc_notebooks
from book.execute import EXECUTED, NOTEBOOKS, ROOT, NotebookFailed, execute_all
from book.parameters import load_parameters
from book.privacy import privacy_faults
from book.repository import repository_url, with_repository
from book.vendor import fetch_mathjax
from offclip.files import write_text

BOOK = ROOT / "book"
HTML = BOOK / "_build" / "html"
# The kernels choose their own plot backend; nothing is fetched from a hub.
KERNEL_ENVIRONMENT = {
    "MPLBACKEND": "module://matplotlib_inline.backend_inline",
    "HF_HUB_OFFLINE": "1",
    "TRANSFORMERS_VERBOSITY": "error",
    "TOKENIZERS_PARALLELISM": "false",
    "PYDEVD_DISABLE_FILE_VALIDATION": "1",
}


def main(arguments: list[str] | None = None) -> int:
    """Build the book; return the exit code."""
    parser = argparse.ArgumentParser(description="Execute the notebooks and build the book.")
    parser.add_argument("--params", default="laptop", help="file in notebooks/params")
    parser.add_argument("--limit", type=float, default=600.0, help="seconds for one notebook")
    options = parser.parse_args(arguments)
    start = time.monotonic()
    try:
        build(options.params, options.limit)
    except (NotebookFailed, ValueError, OSError, RuntimeError) as error:
        print(f"\nmake book failed:\n{error}", file=sys.stderr)
        return 1
    minutes = (time.monotonic() - start) / 60
    print(f"\nThe book is built ({minutes:.1f} minutes). Open {HTML / 'index.html'}")
    return 0


def build(params: str, limit: float) -> None:
    """All steps in order; each raises with a message that says what to do."""
    os.environ.update(KERNEL_ENVIRONMENT)
    notebooks = find_notebooks()
    parameters = load_parameters(NOTEBOOKS / "params" / f"{params}.yaml", notebooks)
    print("== MathJax for the pages", flush=True)
    fetch_mathjax()
    print(f"== {len(notebooks)} notebooks at the {params} parameters", flush=True)
    execute_all(notebooks, parameters, limit=limit)
    print("== pages (jupyter-book, warnings are errors)", flush=True)
    build_pages()
    if faults := page_faults(HTML):
        raise ValueError("the built pages are not whole:\n" + "\n".join(faults))
    if faults := privacy_faults([HTML, EXECUTED], [EXECUTED]):
        raise ValueError(
            f"the pages in {HTML} must not be published (see book/data-access.md):\n"
            + "\n".join(faults)
        )


def find_notebooks() -> list[Path]:
    """The notebooks of the table of contents, in its order; every entry has to exist."""
    toc = BOOK / "_toc.yml"
    notebooks = [NOTEBOOKS / f"{name}.ipynb" for name in toc_notebooks(toc)]
    pages = [BOOK / f"{e}.md" for e in toc_files(toc) if not e.startswith("notebooks/")]
    missing = [str(path.relative_to(ROOT)) for path in [*notebooks, *pages] if not path.exists()]
    if missing:
        raise ValueError(f"book/_toc.yml names what is not there: {', '.join(missing)}")
    return notebooks


def build_pages() -> None:
    """Run jupyter-book with warnings as errors.

    Raises:
        RuntimeError: it failed; its own output stands above.
    """
    config = yaml.safe_load((BOOK / "_config.yml").read_text(encoding="utf-8"))
    used = BOOK / "_build" / "config.yml"
    write_text(used, yaml.safe_dump(with_repository(config, repository_url(ROOT))))
    command = [sys.executable, "-c", "from jupyter_book.cli.main import main; main()"]
    options = ["build", str(BOOK), "--config", str(used), "-W", "-n", "--keep-going"]
    done = subprocess.run([*command, *options], cwd=ROOT)
    if done.returncode:
        raise RuntimeError(f"jupyter-book failed on the pages above; notebooks kept in {EXECUTED}")


if __name__ == "__main__":
    sys.exit(main())
