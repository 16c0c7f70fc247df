"""The reviews service: what members say of titles they returned."""
