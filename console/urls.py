"""Every address of the product. One line per page family; the API has its own file."""

from django.urls import URLPattern, URLResolver

urlpatterns: list[URLPattern | URLResolver] = []
