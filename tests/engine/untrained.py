"""Make small models with random weights: `python -m tests.engine.untrained KIND OUT`, run by the engine's own Python.

None of them ranks. Their weights are seeded, so that they are wrong in the same way everywhere.
"""

import sys
from collections.abc import Callable
from pathlib import Path

import torch
from tokenizers import Tokenizer, decoders, models, pre_tokenizers, trainers
from transformers import (
    BertConfig,
    BertForSequenceClassification,
    ModernBertConfig,
    ModernBertForSequenceClassification,
    PreTrainedTokenizerFast,
    Qwen3Config,
    Qwen3ForCausalLM,
    XLMRobertaConfig,
    XLMRobertaForSequenceClassification,
)

from tests.engine.training import sentences
from tests.engine.training.train import LONGEST, make_tokenizer

SEED = 2
JUDGEMENTS = ("yes", "no")
PADDING = "<|endoftext|>"
END = "<|im_end|>"


def save_narrow_heads(out: Path) -> None:
    """A cross-encoder whose heads are narrower than what vLLM's CPU attention computes."""
    tokenizer = make_tokenizer()
    config = BertConfig(
        vocab_size=len(tokenizer),
        hidden_size=32,
        num_hidden_layers=1,
        num_attention_heads=2,
        intermediate_size=32,
        max_position_embeddings=LONGEST,
        num_labels=1,
    )
    BertForSequenceClassification(config).save_pretrained(out)
    tokenizer.save_pretrained(out)


def save_xlm_roberta(out: Path) -> None:
    """A cross-encoder of the bge family: its table of positions has two rows more than a pair may have tokens."""
    tokenizer = make_tokenizer()
    config = XLMRobertaConfig(
        vocab_size=len(tokenizer),
        hidden_size=64,
        num_hidden_layers=2,
        num_attention_heads=2,
        intermediate_size=64,
        max_position_embeddings=128 + 2,
        type_vocab_size=1,
        pad_token_id=1,
        num_labels=1,
    )
    XLMRobertaForSequenceClassification(config).save_pretrained(out)
    tokenizer.save_pretrained(out)


def save_modernbert(out: Path) -> None:
    """A cross-encoder of the gte-modernbert family."""
    tokenizer = make_tokenizer()
    config = ModernBertConfig(
        vocab_size=len(tokenizer),
        hidden_size=64,
        num_hidden_layers=3,
        num_attention_heads=2,
        intermediate_size=64,
        max_position_embeddings=256,
        pad_token_id=tokenizer.pad_token_id,
        bos_token_id=tokenizer.cls_token_id,
        eos_token_id=tokenizer.sep_token_id,
        cls_token_id=tokenizer.cls_token_id,
        sep_token_id=tokenizer.sep_token_id,
        num_labels=1,
    )
    ModernBertForSequenceClassification(config).save_pretrained(out)
    tokenizer.save_pretrained(out)


def save_language_model(out: Path) -> None:
    """A language model of the kind that judges with a word: yes or no."""
    tokenizer = make_word_tokenizer()
    config = Qwen3Config(
        vocab_size=len(tokenizer),
        hidden_size=64,
        intermediate_size=128,
        num_hidden_layers=2,
        num_attention_heads=2,
        num_key_value_heads=2,
        head_dim=32,
        max_position_embeddings=1024,
        tie_word_embeddings=True,
        bos_token_id=None,
        eos_token_id=tokenizer.eos_token_id,
        pad_token_id=tokenizer.pad_token_id,
    )
    Qwen3ForCausalLM(config).save_pretrained(out)
    tokenizer.save_pretrained(out)


def make_word_tokenizer() -> PreTrainedTokenizerFast:
    """Learn a byte-level vocabulary in which each judgement is one token."""
    tokenizer = Tokenizer(models.BPE())
    tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    tokenizer.decoder = decoders.ByteLevel()
    special = [PADDING, "<|im_start|>", END]
    alphabet = pre_tokenizers.ByteLevel.alphabet()
    trainer = trainers.BpeTrainer(vocab_size=600, special_tokens=special, initial_alphabet=alphabet)
    tokenizer.train_from_iterator([*sentences.corpus(), *JUDGEMENTS * 1000], trainer)
    names = {"eos_token": END, "pad_token": PADDING}
    return PreTrainedTokenizerFast(tokenizer_object=tokenizer, model_max_length=1024, **names)


KINDS: dict[str, Callable[[Path], None]] = {
    "narrow-heads": save_narrow_heads,
    "xlm-roberta": save_xlm_roberta,
    "modernbert": save_modernbert,
    "language-model": save_language_model,
}

if __name__ == "__main__":
    torch.manual_seed(SEED)
    KINDS[sys.argv[1]](Path(sys.argv[2]))
