"""What a dataset is called and where it stands, as its card and its metadata both say it."""

from collections.abc import Sequence
from importlib.metadata import version

from shared.dataset.export_record import ExportRecord
from shared.dataset.licences import Licence, derive

PROGRAM = "ensemble-instruct"
MOST_NAMES = 3
PAPERS = (
    """@inproceedings{lee-etal-2023-ensemble,
  title     = {Ensemble-Instruct: Instruction Tuning Data Generation with a Heterogeneous Mixture of {LMs}},
  author    = {Lee, Young-Suk and Sultan, Md and El-Kurdi, Yousef and Naseem, Tahira and Munawar, Asim and
               Florian, Radu and Roukos, Salim and Astudillo, Ram{\\'o}n},
  booktitle = {Findings of the Association for Computational Linguistics: EMNLP 2023},
  year      = {2023},
  note      = {arXiv:2310.13961}
}""",
    """@inproceedings{wang-etal-2023-self-instruct,
  title     = {Self-Instruct: Aligning Language Models with Self-Generated Instructions},
  author    = {Wang, Yizhong and Kordi, Yeganeh and Mishra, Swaroop and Liu, Alisa and Smith, Noah A. and
               Khashabi, Daniel and Hajishirzi, Hannaneh},
  booktitle = {Proceedings of the 61st Annual Meeting of the Association for Computational Linguistics},
  year      = {2023},
  note      = {arXiv:2212.10560}
}""",
)


def title_of(record: ExportRecord) -> str:
    """The names of its runs."""
    return listed([run.run for run in record.runs], MOST_NAMES)


def description_of(record: ExportRecord) -> str:
    """What it is, in a sentence."""
    models, files = listed(models_of(record), MOST_NAMES), listed(files_of(record), MOST_NAMES)
    made = (f"made by {models}" if models else "", f"brought in from {files}" if files else "")
    return (
        f"{record.rows} instructions with their outputs, {' and '.join(filter(None, made))}, by the method "
        f"Ensemble-Instruct. Export {record.id}."
    )


def makers_of(record: ExportRecord) -> str:
    """How many models and files it came from, in words."""
    files = len({each.sha256 for each in record.facts.files}) if record.facts else 0
    models = len(models_of(record))
    made = f"made by {models} language model{'' if models == 1 else 's'}" if models else ""
    brought = f"brought in from {files} file{'' if files == 1 else 's'}" if files else ""
    return " and ".join(filter(None, (made, brought)))


def models_of(record: ExportRecord) -> list[str]:
    """The models that had a part in it, each once, by the name that its server knows it by, if the job says so."""
    models = record.facts.models if record.facts else ()
    return list(dict.fromkeys(model.served_model or model.model for model in models))


def files_of(record: ExportRecord) -> list[str]:
    """The imported files that had a part in it, each name once."""
    return list(dict.fromkeys(each.file for each in record.facts.files)) if record.facts else []


def licence_of(record: ExportRecord) -> Licence:
    """What follows from the licences of these models and files."""
    facts = record.facts
    models, files = (facts.models, facts.files) if facts else ((), ())
    return derive([*(model.licence for model in models), *(file.licence for file in files)])


def version_of(record: ExportRecord) -> str:
    """A version in the sense of semver.org: what an export holds never changes, and its id is the build."""
    return f"1.0.0+{str(record.id)[:8]}"


def written_by(*more: str) -> str:
    """Which version of this program wrote a file, and of what else decides its bytes."""
    return ", ".join((f"{PROGRAM} {version(PROGRAM)}", *more))


def listed(names: Sequence[str], most: int) -> str:
    """Names as a sentence has them: "a, b and 2 more"."""
    shown = list(names[:most]) + ([f"{len(names) - most} more"] if len(names) > most else [])
    return " and ".join(filter(None, (", ".join(shown[:-1]), shown[-1]))) if shown else ""
