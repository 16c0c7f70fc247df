"""One module per outside thing: the table, password hashing, the formats of e-mail and phone."""
