"""Which licence a dataset has, by those of the models and files that it came from."""

import re
from collections.abc import Sequence
from dataclasses import dataclass

# What the hub knows (https://huggingface.co/docs/hub/repositories-licenses); any other is `other`, with a name.
_HUB = """
    afl-3.0 agpl-3.0 apache-2.0 artistic-2.0 bigcode-openrail-m bigscience-bloom-rail-1.0 bigscience-openrail-m bsd
    bsd-2-clause bsd-3-clause bsd-3-clause-clear bsl-1.0 c-uda cc cc-by-2.0 cc-by-2.5 cc-by-3.0 cc-by-4.0 cc-by-nc-2.0
    cc-by-nc-3.0 cc-by-nc-4.0 cc-by-nc-nd-3.0 cc-by-nc-nd-4.0 cc-by-nc-sa-2.0 cc-by-nc-sa-3.0 cc-by-nc-sa-4.0
    cc-by-nd-4.0 cc-by-sa-3.0 cc-by-sa-4.0 cc0-1.0 cdla-permissive-1.0 cdla-permissive-2.0 cdla-sharing-1.0
    creativeml-openrail-m deepfloyd-if-license ecl-2.0 epl-1.0 epl-2.0 etalab-2.0 eupl-1.1 gemma gfdl gpl gpl-2.0
    gpl-3.0 isc lgpl lgpl-2.1 lgpl-3.0 lgpl-lr llama2 llama3 llama3.1 llama3.2 llama3.3 lppl-1.3c mit mpl-2.0 ms-pl
    ncsa odbl odc-by ofl-1.1 openrail openrail++ osl-3.0 pddl postgresql unlicense wtfpl zlib
"""
HUB_LICENCES = frozenset(_HUB.split())
UNKNOWN, OTHER = "unknown", "other"


@dataclass(frozen=True, slots=True)
class Licence:
    """As the hub has it: a `name` goes with `other` alone. `declared` are those that it follows from, each once."""

    id: str
    name: str | None
    declared: tuple[str | None, ...]


def derive(declared: Sequence[str | None]) -> Licence:
    """The licence of what all of these had a part in: theirs if they have but one, `unknown` if one of them is not
    declared, else `other` with the names of all."""
    each = tuple(dict.fromkeys(one and one.lower() for one in declared))
    if not each or None in each:
        return Licence(UNKNOWN, None, each)
    if len(each) == 1 and each[0] in HUB_LICENCES:
        return Licence(each[0], None, each)
    return Licence(OTHER, "-and-".join(_slug(one) or "unnamed" for one in each if one), each)


def _slug(licence: str) -> str:
    return re.sub(r"[^a-z0-9.]+", "-", licence).strip("-")
