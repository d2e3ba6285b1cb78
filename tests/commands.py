"""Runs a command of the command line in this process."""

import argparse


def run_command(add, *arguments):
    """The exit code of the command that ``add`` declares."""
    parser = argparse.ArgumentParser()
    add(parser.add_subparsers())
    options = parser.parse_args(arguments)
    return options.call(options)
