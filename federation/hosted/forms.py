"""The CSRF check of the hosted pages.

Django's, under the names that scripts written for Cognito's pages use: the field ``_csrf`` must equal the cookie
``XSRF-TOKEN`` (W 9.1). The field's value is handed to Django as the header that it looks at next.
"""

from collections.abc import Callable
from functools import wraps

from django.http import HttpRequest, HttpResponse
from django.views.decorators.csrf import csrf_protect

View = Callable[..., HttpResponse]


def form_protected(view: View) -> View:
    """Refuse a POST whose ``_csrf`` is not this browser's."""
    protected = csrf_protect(view)

    @wraps(view)
    def checked(request: HttpRequest) -> HttpResponse:
        if request.method == "POST" and "_csrf" in request.POST:
            request.META["HTTP_X_CSRFTOKEN"] = request.POST["_csrf"]
        return protected(request)

    return checked
