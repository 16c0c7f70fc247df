"""What members and librarians do with loans, and the ports those use cases need."""
