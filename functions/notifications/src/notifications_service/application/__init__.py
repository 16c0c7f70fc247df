"""What members, librarians and administrators do with notices, and the ports those use cases need."""
