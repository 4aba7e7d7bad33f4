"""Kill everything at every moment, then let a judge count what was lost.

``python -m tests.torture --help``; docs/decisions/0011-the-torture-harness.md says how it works.
"""
