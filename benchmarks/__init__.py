"""Benchmarks: one file a question, one table each, ratios against a peer and a physical floor."""
