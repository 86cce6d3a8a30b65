"""Reads over several tables for screens and lists. May not change anything; knows no HTML."""
