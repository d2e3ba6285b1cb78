"""Runs a function in several processes that form a group on this machine's CPU."""

import os
import socket

import torch
from torch import distributed, multiprocessing


def run_in_group(count, call, *arguments):
    """``call(rank, *arguments)`` in ``count`` processes of one gloo group."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    multiprocessing.spawn(_member, (count, port, call, arguments), nprocs=count)


def _member(rank, count, port, call, arguments):
    torch.set_num_threads(1)
    os.environ |= {
        "MASTER_ADDR": "127.0.0.1", "MASTER_PORT": str(port), "RANK": str(rank),
        "WORLD_SIZE": str(count), "LOCAL_RANK": str(rank), "ACCELERATE_USE_CPU": "true",
    }  # fmt: skip
    distributed.init_process_group("gloo", rank=rank, world_size=count)
    try:
        call(rank, *arguments)
    finally:
        distributed.destroy_process_group()
