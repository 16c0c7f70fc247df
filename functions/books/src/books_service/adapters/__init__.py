"""What the books service needs from outside: one module per thing, and what that module is made of."""
