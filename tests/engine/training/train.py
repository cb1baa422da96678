"""Train the tiny reranker: `python -m tests.engine.training.train OUT SEED`.

Run by the Python that has torch and transformers. A real cross-encoder (BERT, 2 layers, hidden size 128, one
label) learns `sentences` from nothing in about 100 s of processor time. Head dimension 32 is the smallest that
vLLM's CPU attention takes. Ends with status 3 if the finished model does not rank the way the tests rely on;
the same seed may succeed on another machine, since sums of floats depend on the processor.
"""

import json
import random
import sys
from collections.abc import Sequence
from pathlib import Path

import torch
from tokenizers import Tokenizer, decoders, models, normalizers, pre_tokenizers, processors, trainers
from transformers import BertConfig, BertForSequenceClassification, PreTrainedTokenizerFast

from tests.engine.training import sentences

UNKNOWN = "[UNK]"
LONGEST = 512  # tokens of query and document together
BATCH = 128
MOST_STEPS = 2400
CHECK_EVERY = 100
LEARNING_RATE = 5e-4
WARM_UP_STEPS = 200
# Short documents first: learning to compare two countries is the slow part, and clutter makes it slower.
PLAIN_STEPS = 400
ALONE = 0.7
NOT_GOOD_ENOUGH = 3

# Texts that training never sees: the model must call them unrelated all the same.
UNSEEN = (
    "Stainless steel kitchen sinks are easy to clean.",
    "She bought two tickets for the late show.",
    "Gradient descent converges slowly near a saddle point.",
    "lorem ipsum dolor sit amet",
    "0123456789",
)
RIGHT_AT_LEAST = 0.9
WRONG_AT_MOST = 0.3


def make_tokenizer() -> PreTrainedTokenizerFast:
    """Learn a WordPiece vocabulary from the sentences; single letters cover all other text."""
    special = ["[PAD]", UNKNOWN, "[CLS]", "[SEP]", "[MASK]"]
    tokenizer = Tokenizer(models.WordPiece(unk_token=UNKNOWN))
    tokenizer.normalizer = normalizers.BertNormalizer(lowercase=True)
    tokenizer.pre_tokenizer = pre_tokenizers.BertPreTokenizer()
    letters = list("abcdefghijklmnopqrstuvwxyz0123456789.,;:?!-_/()'\"")
    trainer = trainers.WordPieceTrainer(vocab_size=1200, special_tokens=special, initial_alphabet=letters)
    tokenizer.train_from_iterator(sentences.corpus(), trainer)
    separator, first = ((name, tokenizer.token_to_id(name)) for name in ("[SEP]", "[CLS]"))
    tokenizer.post_processor = processors.BertProcessing(separator, first)
    tokenizer.decoder = decoders.WordPiece()
    names = zip(("pad_token", "unk_token", "cls_token", "sep_token", "mask_token"), special, strict=True)
    return PreTrainedTokenizerFast(tokenizer_object=tokenizer, model_max_length=LONGEST, **dict(names))


def make_model(vocabulary: int) -> BertForSequenceClassification:
    """Build the untrained network. No dropout: the model is meant to memorise."""
    config = BertConfig(
        vocab_size=vocabulary,
        hidden_size=128,
        num_hidden_layers=2,
        num_attention_heads=4,
        intermediate_size=256,
        max_position_embeddings=LONGEST,
        num_labels=1,
        hidden_dropout_prob=0.0,
        attention_probs_dropout_prob=0.0,
        initializer_range=0.05,
    )
    return BertForSequenceClassification(config)


class Trainer:
    """One model in training, with its own source of randomness."""

    def __init__(self, seed: int) -> None:
        torch.manual_seed(seed)
        # More threads are slower: the network is too small, and they wait for each other on a busy machine.
        torch.set_num_threads(1)
        self.random = random.Random(seed)
        self.tokenizer = make_tokenizer()
        self.model = make_model(len(self.tokenizer))
        self.optimizer = torch.optim.AdamW(self.model.parameters(), lr=LEARNING_RATE, weight_decay=0.0)

    def step(self, number: int) -> float:
        """Learn from one batch and return its loss."""
        for group in self.optimizer.param_groups:
            group["lr"] = LEARNING_RATE * min(1.0, (number + 1) / WARM_UP_STEPS)
        alone = 1.0 if number < PLAIN_STEPS else ALONE
        pairs = [sentences.random_pair(self.random, alone) for _ in range(BATCH)]
        queries, documents, labels = zip(*pairs, strict=True)
        logits = self._logits(queries, documents)
        loss = torch.nn.functional.binary_cross_entropy_with_logits(logits, torch.tensor(labels))
        self.optimizer.zero_grad()
        loss.backward()
        torch.nn.utils.clip_grad_norm_(self.model.parameters(), 1.0)
        self.optimizer.step()
        return float(loss.detach())

    def scores(self, query: str, documents: list[str]) -> list[float]:
        """Score documents the way vLLM will: sigmoid of the one label."""
        with torch.no_grad():
            scores: list[float] = torch.sigmoid(self._logits([query] * len(documents), documents)).tolist()
        return scores

    def _logits(self, queries: Sequence[str], documents: Sequence[str]) -> torch.Tensor:
        batch = self.tokenizer(
            list(queries), list(documents), padding=True, truncation="only_second", return_tensors="pt"
        )
        return self.model(**batch).logits.squeeze(-1)


def worst_scores(trainer: Trainer) -> tuple[float, float]:
    """Return the lowest score of a right answer and the highest of anything else, over all countries."""
    lowest, highest = 1.0, 0.0
    for country, city in sentences.CAPITALS.items():
        right = [answer.format(country=country, city=city) for answer in sentences.ANSWERS]
        wrong = [
            answer.format(country=other, city=capital)
            for other, capital in sentences.CAPITALS.items()
            for answer in sentences.ANSWERS
            if other != country
        ]
        for template in sentences.QUERIES:
            query = template.format(country=country)
            unrelated = [*sentences.FIXED_FILLER, *UNSEEN]
            scores = trainer.scores(query, [*right, *wrong, *unrelated])
            lowest = min(lowest, *scores[: len(right)])
            highest = max(highest, *scores[len(right) :])
    return lowest, highest


def train(out: Path, seed: int) -> int:
    """Train until the model ranks as wanted, save it, and return the exit status."""
    trainer = Trainer(seed)
    for number in range(MOST_STEPS):
        loss = trainer.step(number)
        if (number + 1) % CHECK_EVERY == 0:
            right, wrong = worst_scores(trainer)
            print(json.dumps({"step": number + 1, "loss": loss, "right": right, "wrong": wrong}), flush=True)
            if right >= RIGHT_AT_LEAST and wrong <= WRONG_AT_MOST:
                trainer.model.save_pretrained(out)
                trainer.tokenizer.save_pretrained(out)
                return 0
    return NOT_GOOD_ENOUGH


if __name__ == "__main__":
    sys.exit(train(Path(sys.argv[1]), int(sys.argv[2])))
