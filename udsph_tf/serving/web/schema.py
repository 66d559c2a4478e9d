"""Requests and answers of the HTTP API, as OpenAPI describes them."""

from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field, create_model

from udsph_tf.search import Hit
from udsph_tf.serving.web.engine import Answer, SearchOptions
from udsph_tf.serving.web.limits import Limits

__all__ = [
    "Error",
    "ErrorBody",
    "FoundHit",
    "FoundItem",
    "Info",
    "SearchAnswer",
    "answer_as_json",
    "hit_as_json",
    "options_of",
    "query_parameters",
    "request_models",
]

Find = Literal["images", "texts", "items"]
By = Literal["image", "text", "fused"]


class Error(BaseModel):
    """What went wrong: a name for programs and a sentence for people."""

    code: str
    message: str


class ErrorBody(BaseModel):
    """The body of every answer that is not a success."""

    error: Error


class FoundItem(BaseModel):
    """An item of the index."""

    id: str
    text: str
    metadata: dict[str, list[str]]


class FoundHit(FoundItem):
    """An item and how far it is from the query."""

    rank: int
    distance: int
    asymmetric: float | None


class SearchAnswer(BaseModel):
    """Hits, nearest first."""

    find: Find
    bits: int
    exact: bool
    reranked: bool
    generation: int
    encode_ms: float
    search_ms: float
    hits: list[FoundHit]


class Info(BaseModel):
    """What is being served, and what a request may ask for."""

    version: str
    dataset: str
    items: int
    bits: int
    lengths: list[int]
    finds: list[Find]
    exact: bool
    generation: int
    model_checksum: str
    facets: dict[str, dict[str, int]]
    limits: dict[str, float]


class _Strict(BaseModel):
    model_config = ConfigDict(extra="forbid")


def request_models(limits: Limits) -> tuple[type[BaseModel], type[BaseModel]]:
    """Models of the JSON requests, for words and for an item, with the service's limits in them."""
    options: dict[str, Any] = {
        "find": (Find, "images"),
        "k": (Annotated[int, Field(strict=True, ge=1, le=limits.k)], 24),
        "radius": (Annotated[int, Field(strict=True, ge=0, le=65536)] | None, None),
        "filters": (dict[str, Annotated[list[str], Field(max_length=limits.filter_values)]], {}),
        "bits": (Annotated[int, Field(strict=True, ge=8, le=65536)] | None, None),
        "rerank": (Annotated[bool, Field(strict=True)], False),
        "candidates": (Annotated[int, Field(strict=True, ge=1, le=limits.candidates)], 100),
    }
    text = Annotated[str, Field(min_length=1, max_length=limits.text_length)]
    name = Annotated[str, Field(max_length=4096)]
    by_words = create_model("TextSearch", __base__=_Strict, text=(text, ...), **options)
    by_item = create_model(
        "ItemSearch", __base__=_Strict, id=(name, ...), by=(By, "image"), **options
    )
    return by_words, by_item


def query_parameters(limits: Limits) -> type[BaseModel]:
    """Model of the options of a search by picture, which stand in the address."""
    pair = Annotated[str, Field(pattern="^[^=]*=", max_length=1000)]
    return create_model(
        "ImageSearch",
        __base__=_Strict,
        find=(Find, "images"),
        k=(Annotated[int, Field(ge=1, le=limits.k)], 24),
        radius=(Annotated[int, Field(ge=0, le=65536)] | None, None),
        filter=(
            Annotated[
                list[pair],
                Field(max_length=limits.filter_values, description="field=value; may be repeated"),
            ],
            [],
        ),
        bits=(Annotated[int, Field(ge=8, le=65536)] | None, None),
        rerank=(bool, False),
        candidates=(Annotated[int, Field(ge=1, le=limits.candidates)], 100),
    )


def options_of(request: BaseModel) -> SearchOptions:
    """The options of a request of any kind."""
    values = request.model_dump()
    filters = values.get("filters", {})
    for pair in values.get("filter", ()):
        name, _, value = pair.partition("=")
        filters.setdefault(name, []).append(value)
    names = ("find", "k", "radius", "bits", "rerank", "candidates")
    return SearchOptions(filters=filters, **{name: values[name] for name in names})


def hit_as_json(hit: Hit) -> dict[str, Any]:
    """A hit without the place of its picture, which is nobody's business outside."""
    return {
        "rank": hit.rank,
        "distance": hit.distance,
        "asymmetric": None if hit.asymmetric is None else round(hit.asymmetric, 4),
        "id": hit.item.id,
        "text": hit.item.text,
        "metadata": {name: list(values) for name, values in hit.item.metadata.items()},
    }


def answer_as_json(answer: Answer, options: SearchOptions) -> dict[str, Any]:
    """The body of a `SearchAnswer`."""
    return {
        "find": options.find,
        "bits": answer.bits,
        "exact": answer.exact,
        "reranked": options.rerank,
        "generation": answer.generation,
        "encode_ms": round(1000 * answer.encode_seconds, 3),
        "search_ms": round(1000 * answer.search_seconds, 3),
        "hits": [hit_as_json(hit) for hit in answer.hits],
    }
