"""Names that Kubernetes takes, for models whose names it may not take."""

import hashlib
import re

LONGEST = 39  # a StatefulSet's name, model-server-…, goes with a hash into a label: 52 characters at most
DIGEST = 12
_GOOD = re.compile(r"[a-z0-9]([a-z0-9-]*[a-z0-9])?")
_DIGESTED = re.compile(rf"-[0-9a-f]{{{DIGEST}}}$")


def label_of(model: str) -> str:
    """The DNS label that stands for a model: its name, if that is one, else what is left of it and a digest of it.

    A name that looks as if it had a digest gets one, too; so two models never have the same label.
    """
    if _GOOD.fullmatch(model) and len(model) <= LONGEST and not _DIGESTED.search(model):
        return model
    digest = hashlib.sha256(model.encode()).hexdigest()[:DIGEST]
    rest = model.replace("_", "-").strip("-")[: LONGEST - DIGEST - 1].rstrip("-")
    return f"{rest}-{digest}"
