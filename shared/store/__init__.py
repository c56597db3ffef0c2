"""Postgres: the truth about every run, every piece of work and every record."""
