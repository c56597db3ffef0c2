"""Gemma's real weights, joined once, and servers on them."""

import shutil
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from services.local.language_models import GEMMA, LanguageModelServer


@pytest.fixture(scope="session")
def weights_folder(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """Where the weights are joined; removed afterwards, for pytest keeps its folders."""
    folder = tmp_path_factory.mktemp("weights")
    yield folder
    shutil.rmtree(folder)


def served(protocol: str, weights_folder: Path, log: Path) -> Iterator[LanguageModelServer]:
    """Gemma over a protocol, in small."""
    model = replace(GEMMA, protocol=protocol, parallel=2, context=512, threads=1)
    server = LanguageModelServer(model, weights_folder, log, log.with_name("port"))
    try:
        server.launch()
        server.wait()
        yield server
    finally:
        server.stop()


@pytest.fixture(scope="session")
def gemma_tgi(weights_folder: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[LanguageModelServer]:
    """Gemma over TGI's protocol."""
    yield from served("tgi", weights_folder, tmp_path_factory.mktemp("tgi") / "log")


@pytest.fixture(scope="session")
def gemma_openai(weights_folder: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[LanguageModelServer]:
    """Gemma over OpenAI's protocol."""
    yield from served("openai", weights_folder, tmp_path_factory.mktemp("openai") / "log")
