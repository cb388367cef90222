"""A site that logs people in with django-privacyidea-auth, as its authors published it.

The package was written for a Django that called backends without the request; a site of today puts
it behind the four lines of `Site` below, whatever server it asks.
Arguments: the address of /validate/check. Standard input: a name and a password in each line.
Prints for each line whether the login page let the person in, and as whom.
"""

import sys

import django
from django.conf import settings
from django.http import HttpResponse

settings.configure(
    SECRET_KEY="only for a test",
    ALLOWED_HOSTS=["*"],
    ROOT_URLCONF=__name__,
    USE_TZ=True,
    DATABASES={"default": {"ENGINE": "django.db.backends.sqlite3", "NAME": ":memory:"}},
    DEFAULT_AUTO_FIELD="django.db.models.AutoField",
    INSTALLED_APPS=[
        "django.contrib.auth",
        "django.contrib.contenttypes",
        "django.contrib.sessions",
    ],
    MIDDLEWARE=[
        "django.contrib.sessions.middleware.SessionMiddleware",
        "django.contrib.auth.middleware.AuthenticationMiddleware",
    ],
    TEMPLATES=[{
        "BACKEND": "django.template.backends.django.DjangoTemplates",
        "OPTIONS": {"loaders": [(
            "django.template.loaders.locmem.Loader",
            {"registration/login.html": "no"},
        )]},
    }],
    AUTHENTICATION_BACKENDS=[__name__ + ".Site"],
    PRIVACYIDEA={"url": sys.argv[1], "create_user": True, "update_attributes": False},
)
django.setup()

from django.contrib.auth.views import LoginView  # noqa: E402
from django.core.management import call_command  # noqa: E402
from django.test import Client  # noqa: E402
from django.urls import path  # noqa: E402
from django_privacyidea_auth.privacyidea_auth import PrivacyIDEA  # noqa: E402


class Site(PrivacyIDEA):
    def authenticate(self, request, username=None, password=None):
        return super().authenticate(username=username, password=password)


def home(request):
    return HttpResponse(str(request.user))


urlpatterns = [path("login/", LoginView.as_view(next_page="/")), path("", home)]

call_command("migrate", verbosity=0)
for line in sys.stdin.read().splitlines():
    username, password = line.split(" ", 1)
    browser = Client()
    answer = browser.post("/login/", {"username": username, "password": password})
    if answer.status_code == 302:
        print("in as", browser.get("/").content.decode())
    else:
        print("refused")
print("done")
