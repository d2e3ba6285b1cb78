"""Repository and launch buttons of the pages, where the checkout has a public address.

The address is that of the remote ``origin``; a fork's pages lead to the fork, and a checkout
without one has no buttons that lead nowhere.
"""

import copy
import re
import subprocess
from pathlib import Path
from typing import Any

_GITHUB = re.compile(r"https://github\.com/[\w.-]+/[\w.-]+?(?:\.git)?/?")


def repository_url(root: Path) -> str:
    """Address of a checkout on GitHub, from ``git remote get-url origin``; "" for any other."""
    command = ["git", "-C", str(root), "remote", "get-url", "origin"]
    try:
        done = subprocess.run(command, capture_output=True, text=True, check=True)
    except (OSError, subprocess.CalledProcessError):
        return ""
    url = done.stdout.strip()
    return url.removesuffix("/").removesuffix(".git") if _GITHUB.fullmatch(url) else ""


def with_repository(config: dict[str, Any], url: str) -> dict[str, Any]:
    """The book's configuration with buttons that lead to ``url``; without one as it is."""
    if not url:
        return config
    config = copy.deepcopy(config)
    config["repository"] = {"url": url, "branch": "main", "path_to_book": ""}
    config["sphinx"]["config"]["html_theme_options"] |= {
        "repository_url": url,
        "repository_branch": "main",
        "path_to_docs": "",  # buttons open notebooks/X.ipynb, not book/notebooks/X.ipynb
        "use_repository_button": True,
        "use_issues_button": True,
        "launch_buttons": {
            "binderhub_url": "https://mybinder.org",
            "colab_url": "https://colab.research.google.com",
            "notebook_interface": "jupyterlab",
        },
    }
    return config
