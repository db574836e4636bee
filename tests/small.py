"""A model of random weights, made on the spot: small enough for a real vLLM on a CPU."""

from types import SimpleNamespace

from compiler.resources import TAXONOMY


def save_small_model(folder, seed):
    """Saves a Llama of 4 million random weights with a tokenizer and a chat template."""
    from transformers import LlamaConfig, LlamaForCausalLM, set_seed

    from training.student import make_tokenizer

    texts = [path.read_text("utf-8") for path in sorted(TAXONOMY.rglob("*.md"))]
    tokenizer = make_tokenizer(SimpleNamespace(texts=lambda: texts), 4000)
    set_seed(seed)
    size = LlamaConfig(
        vocab_size=len(tokenizer),
        hidden_size=256,
        intermediate_size=768,
        num_hidden_layers=4,
        num_attention_heads=4,
        num_key_value_heads=4,
        max_position_embeddings=8192,
        tie_word_embeddings=True,
        bos_token_id=None,
        eos_token_id=tokenizer.eos_token_id,
        pad_token_id=tokenizer.pad_token_id,
    )
    LlamaForCausalLM(size).save_pretrained(folder)
    tokenizer.save_pretrained(folder)
    return folder
