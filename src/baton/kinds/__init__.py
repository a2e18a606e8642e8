"""How values become bytes and come back: one module for each library whose values travel between tasks.

A task's annotations name kinds.  To a type checker ``Table`` *is* a polars data frame; when the
program runs it is the class that reads and writes one, so that declaring a pipeline imports no
heavy library.
"""
