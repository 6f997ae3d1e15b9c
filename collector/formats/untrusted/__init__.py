"""Looks into bodies of strangers before a library reads them."""
