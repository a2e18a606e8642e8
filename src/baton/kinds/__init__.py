"""Kinds of values and their file formats: one module per library.

A task's annotations are kinds.  For a type checker ``Table`` *is* a polars data frame; at run time it is the
class that reads and writes one, so that declaring a pipeline imports no heavy library.
"""
