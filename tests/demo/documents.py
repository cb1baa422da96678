"""What the demo searches in: short documents, half of them about capitals, and a question for each."""

from typing import Final

CAPITALS: Final = {
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
ANSWERS: Final = (
    "The capital of {country} is {city}.",
    "{city} is the capital of {country}.",
    "The capital city of {country} is called {city}.",
    "{city} is the capital and largest city of {country}.",
)
OTHERS: Final = (
    "France has many rivers.",
    "France is a country with mountains.",
    "People in Norway like football.",
    "The weather in Japan is mild.",
    "Brazil exports coffee and machines.",
    "Peru is a country with mountains.",
    "People in Italy like football.",
    "The weather in Greece is mild.",
    "Horses and cows are both animals.",
    "The quick brown fox jumps over the lazy dog.",
    "A vector database stores embeddings.",
    "Kubernetes runs containers on nodes.",
    "Milvus supports hybrid search.",
    "Bread is made of flour and water.",
)
QUESTION: Final = "What is the capital of France?"


def documents() -> list[str]:
    """One answer for each capital, in turn in one of four wordings, then everything else."""
    answers = [answer_for(country) for country in CAPITALS]
    return [*answers, *OTHERS]


def answer_for(country: str) -> str:
    """Return the document that answers the question for a country."""
    wording = ANSWERS[list(CAPITALS).index(country) % len(ANSWERS)]
    return wording.format(country=country, city=CAPITALS[country])


def questions() -> dict[str, str]:
    """Return the right answer of each question."""
    return {f"What is the capital of {country}?": answer_for(country) for country in CAPITALS}
