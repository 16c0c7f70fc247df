"""The HTTP API of the reviews service: the status of each refusal, and the routes by subject."""

from collections.abc import Callable

from library_common.http import ServiceApi
from reviews_service import bootstrap
from reviews_service.application.reviews import Reviews
from reviews_service.domain import errors
from reviews_service.routes import reviews

DESCRIPTION = "Reviews: how many stars members give to titles that they borrowed and returned."
PROBLEMS: dict[type[Exception], int] = {errors.ReviewNotFound: 404, errors.TitleNotReturned: 409}


def build(provide: Callable[[], Reviews]) -> ServiceApi:
    """The API on the use cases that `provide` returns; it is called for each request, not before the first."""
    api = ServiceApi(name="reviews", title="Smart Library: reviews", description=DESCRIPTION, problems=PROBLEMS)
    api.publish_openapi("/api/reviews/openapi.json")
    reviews.declare(api, provide)
    return api


api = build(bootstrap.reviews)
handler = api
