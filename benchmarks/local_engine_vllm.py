"""vLLM's side of `local_engine.py`, run by the interpreter of its own environment.

    PYTHON benchmarks/local_engine_vllm.py MODEL CONTEXT

Each line of standard input is a batch, `{"prompts": [[token, ...], ...], "tokens": N}`; the line
printed for it holds the new tokens of each prompt.
"""

from __future__ import annotations

import json
import sys

from vllm import LLM, SamplingParams


def main() -> None:
    model, context = sys.argv[1:]
    llm = LLM(model, dtype="float32", max_model_len=int(context), enforce_eager=True)
    for line in sys.stdin:
        batch = json.loads(line)
        sampling = SamplingParams(temperature=0, max_tokens=batch["tokens"])
        prompts = [{"prompt_token_ids": prompt} for prompt in batch["prompts"]]
        answers = llm.generate(prompts, sampling, use_tqdm=False)
        print(json.dumps([list(answer.outputs[0].token_ids) for answer in answers]), flush=True)


if __name__ == "__main__":
    main()
