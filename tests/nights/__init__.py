"""Thirty nights of a collection that lives: does the audit find what goes wrong, and only that?

``python -m tests.nights`` runs a season and writes ``docs/nights.md``.
"""
