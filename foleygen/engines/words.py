"""What a prompt means to a bundle: the tags it names, or, where the bundle hears with CLAP, all of its words."""

from __future__ import annotations

import difflib
import re
from dataclasses import dataclass

from foleygen.errors import UsageError
from foleygen.weights import tags
from foleygen.weights.ambience import AmbienceBundle

_NEAR = 3
"""Tags that are offered for words that name none."""


@dataclass(frozen=True)
class Words:
    """A prompt as it was understood; ``tags`` in the prompt's order, empty where CLAP hears the prompt itself."""

    prompt: str
    tags: tuple[str, ...] = ()

    def __str__(self) -> str:
        return f"{self.prompt!r} as {', '.join(self.tags)}" if self.tags else repr(self.prompt)


def understand(prompt: str, bundle: AmbienceBundle) -> Words:
    """The prompt as ``bundle`` takes it. Raises UsageError for an empty prompt, or one that names no tag it knows."""
    words = " ".join(prompt.split())
    if not words:
        raise UsageError("the prompt is empty", "say what is to be heard, such as 'rain on a tin roof'")
    if bundle.conditioning == "clap":
        return Words(words)
    found = tags.find(words, bundle.tags)
    if not found:
        raise UsageError(f"{words!r} names nothing that the model {bundle.name!r} knows", _offer(words, bundle))
    return Words(words, found)


def _offer(prompt: str, bundle: AmbienceBundle) -> str:
    """The tags whose words look like some word of the prompt, else where all of them are listed."""
    known = tags.table()
    meanings = {word: tag for tag in bundle.tags for word in (tag, *(known[tag].words if tag in known else ()))}
    near = [
        meanings[match]
        for word in re.findall(r"[^\W_]+", prompt.lower())
        for match in difflib.get_close_matches(word, list(meanings), n=_NEAR, cutoff=0.7)
    ]
    likely = tuple(dict.fromkeys(near))[:_NEAR]
    listed = "see 'foleygen ambience --list'"
    return f"did you mean {' or '.join(map(repr, likely))}? {listed}" if likely else listed
