"""How a page is put at its address."""

from collections.abc import Callable
from typing import TypeVar

from fastapi import APIRouter
from starlette.responses import Response

F = TypeVar("F", bound=Callable[..., Response])


def shown_at(router: APIRouter, path: str) -> Callable[[F], F]:
    """Answer GET and HEAD at a path."""
    return router.api_route(path, methods=["GET", "HEAD"], response_model=None)
