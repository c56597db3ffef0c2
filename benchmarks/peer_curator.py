"""Rows by Curator, for `benchmarks/peers.py`: run by an interpreter that has bespokelabs-curator.

Arguments: the server's address, how many rows, and calls at once. Prints seconds, start and end included.
"""

import os
import sys
import time
from tempfile import TemporaryDirectory
from typing import Any

import tiktoken
from datasets import Dataset


class Words:
    """In place of a tokenizer that would be loaded from the network; it costs less."""

    name = "words"

    def encode(self, text: str, **_: object) -> list[str]:
        """What it counts for its limits of tokens a minute, of which there are none here."""
        return text.split()


def main(url: str, rows: int, at_once: int, folder: str) -> float:
    """Have each row answered once."""
    tiktoken.get_encoding = tiktoken.encoding_for_model = lambda _: Words()
    from bespokelabs import curator

    class Answers(curator.LLM):  # type: ignore[misc]  # it has no type hints
        def prompt(self, row: dict[str, Any]) -> str:
            return str(row["instruction"])

        def parse(self, row: dict[str, Any], response: str) -> dict[str, Any]:
            return {**row, "output": response}

    data = [{"instruction": f"Rewrite sentence {number} so that it is polite. " * 12} for number in range(rows)]
    limits = {"max_requests_per_minute": 10**8, "max_tokens_per_minute": 10**11, "max_concurrent_requests": at_once}
    params = {"base_url": f"{url}/v1", "api_key": "none", "require_all_responses": True, **limits}
    started = time.perf_counter()
    answers = Answers(model_name="fake", backend="openai", backend_params=params, generation_params={"max_tokens": 128})
    made = answers(Dataset.from_list(data), working_dir=folder).dataset
    seconds = time.perf_counter() - started
    if sum(1 for row in made if row["output"]) != rows:
        sys.exit("some rows were not answered")
    return seconds


if __name__ == "__main__":
    os.environ.update(TELEMETRY_ENABLED="0", CURATOR_DISABLE_CACHE="1", CURATOR_DISABLE_RICH_DISPLAY="1")
    os.environ.update(OPENAI_API_KEY="none", LITELLM_LOCAL_MODEL_COST_MAP="True")
    with TemporaryDirectory() as folder:
        print(main(sys.argv[1], int(sys.argv[2]), int(sys.argv[3]), folder))
