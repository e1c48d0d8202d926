"""What is served on no pool's host: the console; and what a load balancer asks on any host."""

from django.urls import path

from accounts.admin.registry import console
from federation.hosted import error
from userpool import health, metrics

urlpatterns = [
    path("admin/", console.urls),
    path("healthz", health.healthz),
    path("readyz", health.readyz),
    path("metrics", metrics.metrics),
]

handler404 = error.not_found
handler500 = error.failure
handler400 = error.bad_request
