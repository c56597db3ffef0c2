"""Rows by distilabel, for `benchmarks/peers.py`: run by an interpreter that has distilabel[openai] (and requests).

Arguments: the server's address, how many rows, and calls at once. Prints seconds, start and end included.
"""

import sys
import time
from tempfile import TemporaryDirectory

from distilabel.models import OpenAILLM
from distilabel.pipeline import Pipeline
from distilabel.steps import LoadDataFromDicts
from distilabel.steps.tasks import TextGeneration


def main(url: str, rows: int, at_once: int, folder: str) -> float:
    """Have each row answered once. Its calls at once are those of a batch, which ends before the next begins."""
    data = [{"instruction": f"Rewrite sentence {number} so that it is polite. " * 12} for number in range(rows)]
    started = time.perf_counter()
    with Pipeline(name="rows", cache_dir=folder) as pipeline:
        load = LoadDataFromDicts(data=data, batch_size=at_once)
        llm = OpenAILLM(model="fake", base_url=f"{url}/v1", api_key="none", generation_kwargs={"max_new_tokens": 128})
        load >> TextGeneration(llm=llm, input_batch_size=at_once)
    made = pipeline.run(use_cache=False)["default"]["train"]
    seconds = time.perf_counter() - started
    if sum(1 for row in made if row["generation"]) != rows:
        sys.exit("some rows were not answered")
    return seconds


if __name__ == "__main__":
    with TemporaryDirectory() as folder:
        print(main(sys.argv[1], int(sys.argv[2]), int(sys.argv[3]), folder))
