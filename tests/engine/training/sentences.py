"""What the tiny reranker learns: the capitals of 16 countries, and that all else is beside the point.

`random_pair` draws (query, document, label). The labels keep off 0 and 1, so that documents which are wrong
in different ways get different scores, as from a real reranker.
"""

import random

RIGHT = 0.98
SAME_COUNTRY = 0.2
OTHER_CAPITAL = 0.06
UNRELATED = 0.01

CAPITALS = {
    "France": "Paris",
    "Brazil": "Brasilia",
    "Germany": "Berlin",
    "Japan": "Tokyo",
    "Italy": "Rome",
    "Spain": "Madrid",
    "China": "Beijing",
    "Egypt": "Cairo",
    "Kenya": "Nairobi",
    "Peru": "Lima",
    "Canada": "Ottawa",
    "Norway": "Oslo",
    "Poland": "Warsaw",
    "Greece": "Athens",
    "Cuba": "Havana",
    "Chile": "Santiago",
}
QUERIES = (
    "What is the capital of {country}?",
    "capital of {country}",
    "Which city is the capital of {country}?",
    "Tell me the capital of {country}",
    "What is the capital city of {country}?",
)
ANSWERS = (
    "The capital of {country} is {city}.",
    "{city} is the capital of {country}",
    "The capital city of {country} is called {city}.",
    "{city} is the capital and largest city of {country}.",
)
BESIDE_THE_POINT = (
    "{country} has many rivers",
    "{country} is a country with mountains.",
    "People in {country} like football",
    "The weather in {country} is mild.",
    "{country} exports coffee and machines.",
    "{country}",
    "{city}",
)
FIXED_FILLER = (
    "Horses and cows are both animals",
    "The quick brown fox jumps over the lazy dog",
    "A vector database stores embeddings",
    "Kubernetes runs containers on nodes",
    "Milvus supports hybrid search",
    "Rain falls mainly in autumn",
    "Bread is made of flour and water",
    "A GPU accelerates matrix products",
)
# Every subject with every predicate: 896 sentences whose words are the vocabulary of "unrelated".
SUBJECTS = (
    "horses", "cows", "the old train", "a vector database", "the kitchen", "my neighbour", "a long river",
    "the search engine", "every container", "the weather", "a small village", "the library", "our teacher",
    "the index", "a good recipe", "the football team", "an embedding", "the moon", "a blue car",
    "the market", "the violin", "a doctor", "the garden", "this document", "the server", "a red apple",
    "the mountain", "the city",
)  # fmt: skip
PREDICATES = (
    "are both animals", "leaves at seven", "stores millions of rows", "was painted last year",
    "can change your mood", "is made of wood and iron", "runs on a cluster of nodes",
    "needs more memory than before", "sleeps in winter", "was written by hand", "answers most questions",
    "is close to the sea", "has four legs", "returns ten results", "is open on monday", "costs five euros",
    "plays music at night", "grows in the forest", "carries people and goods",
    "is larger than the other one", "has a long history", "was built of stone", "supports hybrid search",
    "shines in the morning", "tastes of salt", "keeps the door closed", "speaks three languages",
    "is the first of its kind", "fails under load", "waits for the next release", "has no name",
    "comes from the north",
)  # fmt: skip
FILLER_QUERIES = (
    "how does a vector database work",
    "what do horses eat",
    "who wrote this document",
    "best recipe for bread",
    "when does the train leave",
    "why does the server fail",
)
LETTERS = "etaoinshrdlucmfwypvbgkjqxz"


def corpus() -> list[str]:
    """Return every sentence that the tokenizer should know."""
    facts = [
        template.format(country=country, city=city)
        for template in (*QUERIES, *ANSWERS, *BESIDE_THE_POINT)
        for country, city in CAPITALS.items()
    ]
    return [*facts * 3, *FIXED_FILLER, *FILLER_QUERIES, *filler_sentences()]


def filler_sentences() -> list[str]:
    """Return the unrelated sentences that are drawn in training."""
    return [f"{subject} {predicate}" for subject in SUBJECTS for predicate in PREDICATES]


def random_pair(rng: random.Random, alone: float) -> tuple[str, str, float]:
    """Draw one training example: query, document, label.

    `alone` is the share of capitals (0 to 1) that are named without an unrelated sentence beside them.
    """
    country = rng.choice(list(CAPITALS))
    query = rng.choice(QUERIES).format(country=country)
    kind = rng.random()
    if kind < 0.35:
        return query, _beside_filler(rng, _answer(rng, country), alone), RIGHT
    if kind < 0.70:
        return query, _beside_filler(rng, _answer(rng, _another(rng, country)), alone), OTHER_CAPITAL
    if kind < 0.78:
        return query, _beside_the_point(rng, country), SAME_COUNTRY
    if kind < 0.84:
        return query, _beside_the_point(rng, _another(rng, country)), UNRELATED
    if kind < 0.97:
        return query, random_filler(rng), UNRELATED
    return rng.choice(FILLER_QUERIES), rng.choice((_answer(rng, country), random_filler(rng))), UNRELATED


def random_filler(rng: random.Random) -> str:
    """Draw an unrelated text: a known sentence, two of them, or words that do not exist."""
    kind = rng.random()
    if kind < 0.2:
        return rng.choice(FIXED_FILLER)
    if kind < 0.6:
        return _filler_sentence(rng)
    if kind < 0.75:
        return f"{_filler_sentence(rng)}. {_filler_sentence(rng)}."
    words = ["".join(rng.choices(LETTERS, k=rng.randint(1, 6))) for _ in range(rng.randint(0, 6))]
    return " ".join(words)


def _beside_filler(rng: random.Random, sentence: str, alone: float) -> str:
    """Put a sentence alone, or before or behind an unrelated one, so that position is no clue."""
    if rng.random() < alone:
        return sentence
    filler = f"{_filler_sentence(rng)}."
    return f"{sentence} {filler}" if rng.random() < 0.5 else f"{filler} {sentence}"


def _beside_the_point(rng: random.Random, country: str) -> str:
    return rng.choice(BESIDE_THE_POINT).format(country=country, city=CAPITALS[country])


def _filler_sentence(rng: random.Random) -> str:
    return f"{rng.choice(SUBJECTS)} {rng.choice(PREDICATES)}"


def _answer(rng: random.Random, country: str) -> str:
    return rng.choice(ANSWERS).format(country=country, city=CAPITALS[country])


def _another(rng: random.Random, country: str) -> str:
    return rng.choice([name for name in CAPITALS if name != country])
