"""The commands of ``python -m offclip``, a module each; may import everything."""
