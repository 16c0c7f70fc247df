"""What can be done with members, and the ports it takes to do it."""
