"""Httpserver: hands HTTP requests to actors."""
