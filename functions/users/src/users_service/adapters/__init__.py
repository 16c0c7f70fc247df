"""One module per outside thing: table, queues, mail and text messages, password hashing, contact formats."""
