"""The part of an export that tells in the W3C's words where its examples came from: one document in PROV-JSON."""

from importlib.metadata import version

from sqlalchemy.orm import Session

from shared.dataset.export_folder import Folder
from shared.dataset.export_record import ExportRecord
from shared.dataset.prov_stream import prov_chunks
from shared.store.exports import example_ids
from shared.store.judgements import Told

PROV = "provenance.prov.json"
# A dataset is for others to read, and made again it has to be the same: where servers are and what workers are called
# is nobody's business, and what a run does later may change the others. An imported record may say more than was made
# of it.
LEFT_OUT = {
    "generation": ("endpoint", "worker"),
    "server": ("endpoint",),
    "example": ("surplus",),
    "verdict": ("weights", "families"),
    "origin": ("record",),
}


def write_prov(session: Session, record: ExportRecord, folder: Folder, told: Told = lambda _: None) -> None:
    """Write the document. Raises `ExportFailedError`."""
    file = folder.create(PROV)
    for chunk in prov_chunks(session, example_ids(session, record.id), LEFT_OUT):
        file.write(chunk.encode())
    folder.add(PROV, file, written_by=f"prov {version('prov')}")
    told(record.rows)
