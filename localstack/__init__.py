"""What runs the system outside AWS: the embedded runner and the LocalStack container set-up."""
