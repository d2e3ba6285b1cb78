"""Tests of the book: its records, its pages, its scripts."""
