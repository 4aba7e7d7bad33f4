"""The Lance tables: create, merge, verify, tag, commit a run, keep in shape, search."""
