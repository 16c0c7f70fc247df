"""Generators of what is written down about the services: event schemas, OpenAPI documents, problem codes."""
