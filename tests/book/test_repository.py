"""Buttons lead to the checkout's own public address, or are not there."""

import subprocess

import pytest
import yaml

from book.build import BOOK
from book.repository import repository_url, with_repository


@pytest.mark.parametrize(
    ("remote", "url"),
    [
        ("https://github.com/some-one/a.book.git", "https://github.com/some-one/a.book"),
        ("https://github.com/some-one/book", "https://github.com/some-one/book"),
        ("https://github.com/some-one/book/", "https://github.com/some-one/book"),
        ("https://token@github.com/some-one/book", ""),
        ("https://github.com.evil.org/some-one/book", ""),
        ("git@github.com:some-one/book.git", ""),
        ("/srv/git/book.git", ""),
        (None, ""),
    ],
)
def test_the_address_is_that_of_origin_on_github(remote, url, tmp_path):
    subprocess.run(["git", "init", "-q", str(tmp_path)], check=True)
    if remote:
        add = ["git", "-C", str(tmp_path), "remote", "add", "origin", remote]
        subprocess.run(add, check=True)
    assert repository_url(tmp_path) == url


def test_no_checkout_no_address(tmp_path):
    assert repository_url(tmp_path / "gone") == ""


def test_buttons_need_an_address():
    config = yaml.safe_load((BOOK / "_config.yml").read_text())
    assert "github.com" not in (BOOK / "_config.yml").read_text()
    assert with_repository(config, "") == config
    url = "https://github.com/some-one/book"
    made = with_repository(config, url)
    options = made["sphinx"]["config"]["html_theme_options"]
    assert made["repository"]["url"] == options["repository_url"] == url
    assert options["launch_buttons"]["binderhub_url"] and options["navbar_persistent"] == []
    assert "repository_url" not in config["sphinx"]["config"]["html_theme_options"]
