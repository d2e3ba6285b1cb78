"""Finds where the package's own code would wait for a GPU, on tensors of the CPU."""

import sys
from pathlib import Path

import torch
from torch import Tensor
from torch.utils._python_dispatch import TorchDispatchMode

PACKAGE = str(Path(__file__).parents[1] / "offclip")
MACHINERY = ("/torch/_compile.py", "/torch/_dynamo/", "/torch/utils/_python_dispatch.py")
SINGLE = "_local_scalar_dense"  # item, float, bool, comparison in an if


class Reads(TorchDispatchMode):
    """Notes in ``found`` each operation that needs values of the device, and the file it is in."""

    def __init__(self):
        super().__init__()
        self.found = []

    def __torch_dispatch__(self, function, types, arguments=(), named=None):
        name = function.overloadpacket.__name__
        if name in (SINGLE, "nonzero", "_unique2") or (name == "index" and _by_flags(arguments[1])):
            frame = sys._getframe(1)
            while any(part in _file(frame) for part in MACHINERY):
                frame = frame.f_back
            if _file(frame).startswith(PACKAGE):
                self.found.append((name, Path(_file(frame)).name))
        return function(*arguments, **(named or {}))


def _by_flags(indices):
    return any(isinstance(i, Tensor) and i.dtype == torch.bool for i in indices)


def _file(frame):
    return frame.f_code.co_filename
