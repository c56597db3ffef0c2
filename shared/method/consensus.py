"""The consensus over candidate outputs (DESIGN, section 5)."""

from enum import StrEnum


class Rule(StrEnum):
    """How a judgement chooses among the candidates, and what it discards."""

    ENSEMBLE_INSTRUCT = "ensemble-instruct"
    ENSEMBLE_INSTRUCT_2023 = "ensemble-instruct-2023"
    BEST_PAIR = "best-pair"
    MAJORITY = "majority"
    NONE = "none"
