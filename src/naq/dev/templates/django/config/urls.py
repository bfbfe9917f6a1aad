"""Which view answers which path."""

from django.urls import path

from greetings import views

urlpatterns = [
    path("hello", views.enqueue_hello),
    path("jobs/<str:job_id>", views.show_job),
]
