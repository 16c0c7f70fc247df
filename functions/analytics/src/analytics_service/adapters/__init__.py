"""What analytics needs from outside: one module per thing."""
