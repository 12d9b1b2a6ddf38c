"""Somebody with a browser but without scripts: follows redirects through the ingress, keeps cookies, fills in forms."""

import html
import http.client
import json
import re
import ssl
from dataclasses import dataclass, field
from http.cookies import SimpleCookie
from urllib.parse import urlencode, urljoin, urlsplit

_REDIRECTS = (301, 302, 303, 307, 308)
_HOPS = 12


@dataclass(frozen=True)
class Page:
    """What came back at last."""

    url: str
    status: int
    text: str

    @property
    def host(self) -> str:
        """Whose page it is."""
        return urlsplit(self.url).netloc

    def form(self) -> dict[str, str]:
        """Hidden fields of its forms."""
        hidden = re.findall(r"<input[^>]*type=\"hidden\"[^>]*>", self.text)
        return {_attribute(one, "name"): html.unescape(_attribute(one, "value")) for one in hidden}


@dataclass
class Visitor:
    """Cookies are kept by host, as a browser does with those that name no domain."""

    address: str
    """Of the ingress, whatever the host."""
    cookies: dict[str, dict[str, str]] = field(default_factory=dict)

    def open(self, url: str, form: dict[str, str] | None = None) -> Page:
        """The page where redirects end."""
        body = None if form is None else urlencode(form)
        for _ in range(_HOPS):
            status, location, text = self._ask(url, body, "application/x-www-form-urlencoded")
            if status not in _REDIRECTS:
                return Page(url, status, text)
            url, body = urljoin(url, location), None
        raise AssertionError(f"redirects without an end at {url}")

    def send(self, url: str, body: object) -> Page:
        """What answers to JSON."""
        status, _, text = self._ask(url, json.dumps(body), "application/json")
        return Page(url, status, text)

    def sign_in(self, url: str, user: str, password: str) -> Page:
        """Open a page that asks for an account of Gitea, give it where it is asked for, and agree to what follows."""
        page = self.open(url)
        if urlsplit(page.url).path == "/user/login":
            page = self.open(urljoin(page.url, "/user/login"), page.form() | {"user_name": user, "password": password})
        if "/login/oauth/grant" in page.text:
            page = self.open(urljoin(page.url, "/login/oauth/grant"), page.form() | {"granted": "true"})
        return page

    def _ask(self, url: str, body: str | None, kind: str) -> tuple[int, str, str]:
        parts = urlsplit(url)
        kept = self.cookies.setdefault(parts.netloc, {})
        headers = {"Host": parts.netloc, "Cookie": "; ".join(f"{name}={value}" for name, value in kept.items())}
        if body is not None:
            headers["Content-Type"] = kind
        context = ssl.create_default_context()
        context.check_hostname = False
        context.verify_mode = ssl.CERT_NONE
        connection = http.client.HTTPSConnection(self.address, timeout=60, context=context)
        try:
            connection.request("GET" if body is None else "POST", _target(url), body, headers)
            answer = connection.getresponse()
            text = answer.read().decode(errors="replace")
        finally:
            connection.close()
        for line in answer.headers.get_all("Set-Cookie") or []:
            kept |= {name: one.value for name, one in SimpleCookie(line).items()}
        return answer.status, answer.headers.get("Location", ""), text


def _target(url: str) -> str:
    parts = urlsplit(url)
    return f"{parts.path or '/'}?{parts.query}" if parts.query else parts.path or "/"


def _attribute(tag: str, name: str) -> str:
    found = re.search(rf'\b{name}="([^"]*)"', tag)
    return found[1] if found else ""
