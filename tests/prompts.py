"""Render a prompt template the way vLLM does (0.32: transformers' chat templates, read from their source)."""

from jinja2.sandbox import ImmutableSandboxedEnvironment

# What a tokenizer adds of its own accord: a template must do without, because each tokenizer has others.
_SPECIAL_TOKENS = {"bos_token": "<the tokenizer's BOS>", "eos_token": "<the tokenizer's EOS>"}


def prompt_of(template: str, query: str | None, document: str, **variables: object) -> str:
    """The prompt for one pair. `variables` are what vLLM calls chat_template_kwargs; None leaves the query out.

    vLLM passes no `add_generation_prompt`, so that it is False. Raises jinja2.TemplateError where vLLM answers 400.
    """
    asked = [] if query is None else [{"role": "query", "content": query}]
    messages = [*asked, {"role": "document", "content": document}]
    environment = ImmutableSandboxedEnvironment(
        trim_blocks=True, lstrip_blocks=True, extensions=["jinja2.ext.loopcontrols"]
    )
    return environment.from_string(template).render(
        messages=messages, tools=None, documents=None, add_generation_prompt=False, **_SPECIAL_TOKENS, **variables
    )
