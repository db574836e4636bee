"""Every reply that a teacher gave goes in, and comes out again instead of a second question."""

from compiler.journal.key import key_of
from compiler.journal.store import Journal, Kept, Rate, Run, Share
from compiler.journal.table import JournalError

__all__ = ["Journal", "JournalError", "Kept", "Rate", "Run", "Share", "key_of"]
