"""Runs a function or a script in several processes that form a group on this machine's CPU."""

import os
import socket
import subprocess
import sys

import torch
from torch import distributed, multiprocessing


def run_in_group(count, call, *arguments):
    """``call(rank, *arguments)`` in ``count`` processes of one gloo group."""
    multiprocessing.spawn(_member, (count, _free_port(), call, arguments), nprocs=count)


def launch(count, code, *arguments):
    """Start ``count`` processes that run this code, as ``torchrun`` would."""
    port, here = _free_port(), os.environ
    return [
        subprocess.Popen(
            [sys.executable, "-c", code, *arguments], env=here | _environment(rank, count, port),
            text=True, stdout=subprocess.PIPE, stderr=subprocess.PIPE,
        )
        for rank in range(count)
    ]  # fmt: skip


def _free_port():
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        return free.getsockname()[1]


def _environment(rank, count, port):
    return {
        "MASTER_ADDR": "127.0.0.1", "MASTER_PORT": str(port), "RANK": str(rank),
        "WORLD_SIZE": str(count), "LOCAL_RANK": str(rank), "LOCAL_WORLD_SIZE": str(count),
        "ACCELERATE_USE_CPU": "true", "OMP_NUM_THREADS": "1",
    }  # fmt: skip


def _member(rank, count, port, call, arguments):
    torch.set_num_threads(1)
    os.environ |= _environment(rank, count, port)
    distributed.init_process_group("gloo", rank=rank, world_size=count)
    try:
        call(rank, *arguments)
    finally:
        distributed.destroy_process_group()
