"""How an LM is asked to decode."""

from pydantic import BaseModel, ConfigDict, Field


class Decoding(BaseModel):
    """Decoding parameters of one LM call.

    `temperature` 0 means greedy. `top_k` 0 and `top_p` 1 switch those cuts off.
    `max_new_tokens` stays at or below 1,024, which every server we know accepts.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    temperature: float = Field(0.7, ge=0, le=2)
    top_k: int = Field(50, ge=0)
    top_p: float = Field(1.0, gt=0, le=1)
    max_new_tokens: int = Field(256, ge=1, le=1024)

    @property
    def greedy(self) -> bool:
        """Whether the most likely token is taken each time."""
        return self.temperature == 0


class DecodingOverrides(BaseModel):
    """What a job changes of a prompt template's own decoding; `None` keeps the template's value."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    temperature: float | None = Field(None, ge=0, le=2)
    top_k: int | None = Field(None, ge=0)
    top_p: float | None = Field(None, gt=0, le=1)
    max_new_tokens: int | None = Field(None, ge=1, le=1024)

    def over(self, decoding: Decoding) -> Decoding:
        """`decoding` with this object's values in place of its own."""
        return decoding.model_copy(update=self.model_dump(exclude_none=True))
