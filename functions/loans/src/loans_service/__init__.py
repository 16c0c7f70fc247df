"""Loans: checkout, return, renewal, history; the saga that never lends a copy twice."""
