"""Benchmarks: figures with goals, written to build/bench.json."""
