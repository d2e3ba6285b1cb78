"""OFF-CLIP in the open: losses, model, sentence filter, training and evaluation.

The package reads as the pipeline: ``text`` and ``phantom`` feed ``data``; ``models`` and
``losses`` know only tensors; ``training`` joins them; ``evaluation`` measures.
"""

__version__ = "0.1.0"
