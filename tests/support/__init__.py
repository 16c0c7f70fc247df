"""What several test layers share: a clock that stands still, API Gateway events, fakes."""
