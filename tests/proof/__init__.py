"""Proof that an audit on a changing cluster of several hosts gives what it gives on one machine."""
