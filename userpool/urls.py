"""What is served on no pool's host: the console."""

from django.urls import path

from accounts.admin.registry import console

urlpatterns = [path("admin/", console.urls)]
