"""The web application: shows the page of a visit, and turns what is pressed into actions.

Needs FastAPI and Jinja2.
"""

from __future__ import annotations

from urllib.parse import parse_qs

from fastapi import FastAPI, Request, Response
from fastapi.responses import HTMLResponse, RedirectResponse
from jinja2 import Environment, PackageLoader, StrictUndefined
from starlette.middleware.trustedhost import TrustedHostMiddleware

from metaplan.environments.webshop.website.visit import Visit

__all__ = ["create_site"]

_HOSTS = ["127.0.0.1", "localhost"]
_HEADERS = {
    "Content-Security-Policy": "default-src 'none'; style-src 'self'; img-src data:; "
    "form-action 'self'; frame-ancestors 'none'; base-uri 'none'",
    "X-Content-Type-Options": "nosniff",
    "Cache-Control": "no-store",
}
_TEMPLATES = Environment(
    loader=PackageLoader("metaplan.environments.webshop.website"),
    autoescape=True,
    undefined=StrictUndefined,
    trim_blocks=True,
    lstrip_blocks=True,
)


def create_site(visit: Visit) -> FastAPI:
    """The application over one visit, which is the same for all browsers.

    Texts of products and people are escaped, and the pages' own policy forbids scripts besides.
    Only requests by this machine's own names are answered, so that no other site can lead here.

    Args:
        visit: Shown and changed.
    """
    site = FastAPI(title="WebShop", openapi_url=None)
    site.add_middleware(TrustedHostMiddleware, allowed_hosts=_HOSTS)

    @site.get("/")
    async def show() -> Response:
        html = _TEMPLATES.get_template("page.html.j2").render(visit=visit)
        return HTMLResponse(html, headers=_HEADERS)

    @site.get("/page.css")
    async def style() -> Response:
        css = _TEMPLATES.get_template("page.css").render()
        return Response(css, media_type="text/css", headers=_HEADERS)

    @site.post("/act")
    async def act(request: Request) -> Response:
        visit.act(_action(await request.body()))
        return RedirectResponse("/", status_code=303)

    @site.post("/again")
    async def again() -> Response:
        visit.begin()
        return RedirectResponse("/", status_code=303)

    return site


def _action(form: bytes) -> str:
    """What was pressed, as an agent writes it: buttons carry their action, a search its words."""
    fields = parse_qs(form.decode(errors="replace"), keep_blank_values=True)
    action = fields.get("action", [""])[-1]
    return f"search[{fields.get('keywords', [''])[-1]}]" if action == "search" else action
