"""Chat models behind OpenAI-compatible endpoints: OpenAI, vLLM, SGLang, Ollama.

`ServedModel` talks to one endpoint or several. What goes wrong on the way (rate limits, time-outs,
cut connections, garbage) is tried again; what stays wrong becomes a `ModelFault`, which voids the
episode, and never an answer.
"""

from metaplan.models.served.model import ServedModel, ServedUsage
from metaplan.models.served.settings import (
    SERVED_OPERATIONAL,
    Prices,
    ServedSettings,
    api_key_for,
)

__all__ = [
    "SERVED_OPERATIONAL",
    "Prices",
    "ServedModel",
    "ServedSettings",
    "ServedUsage",
    "api_key_for",
]
