"""Typed units over Arrow batches: sources, extraction, language, text measures, rules, exports."""
