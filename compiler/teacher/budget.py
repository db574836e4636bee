"""What requests cost goes in; how long the next one has to wait for a provider's limits comes out.

A file of its own because it is arithmetic of money: it knows no clock but the times it is given
(seconds), and counts for all endpoints of a teacher together.
"""


class Bucket:
    """So much for each minute, spread evenly (a token bucket that holds a second's worth).

    What is taken may be more than there is: the next one waits until the debt is paid. So a request
    of any size goes, and in no minute more than the limit, a second's worth and one request.
    """

    def __init__(self, per_minute: float, now: float) -> None:
        self.rate = per_minute / 60
        self.level = self.rate
        self._at = now

    def wait(self, now: float) -> float:
        """Seconds until something may be taken."""
        self.level = min(self.rate, self.level + (now - self._at) * self.rate)
        self._at = now
        return 0.0 if self.level > -1e-9 else -self.level / self.rate

    def take(self, amount: float) -> None:
        """Takes; a negative amount is given back."""
        self.level -= amount


class Budget:
    """The requests and tokens that a provider allows for each minute; 0 is no limit.

    A request's tokens are known only with its answer. Until then they are estimated: its characters
    by what a token had of them so far, and the mean reply so far.
    """

    def __init__(self, requests: float, tokens: float, now: float) -> None:
        self._requests = Bucket(requests, now) if requests else None
        self._tokens = Bucket(tokens, now) if tokens else None
        self._buckets = [bucket for bucket in (self._requests, self._tokens) if bucket]
        self._characters, self._prompts = 4.0, 1.0  # what was sent, and its tokens
        self._reply = 256.0

    def wait(self, now: float) -> float:
        """Seconds until the next request may be sent."""
        return max([bucket.wait(now) for bucket in self._buckets], default=0.0)

    def spend(self, characters: int, most: int) -> float:
        """Takes a request of so many characters whose reply has `most` tokens at most; returns the
        tokens that it was taken for.
        """
        if self._requests:
            self._requests.take(1)
        if not self._tokens:
            return 0.0
        estimate = characters * self._prompts / self._characters + min(self._reply, most)
        self._tokens.take(estimate)
        return estimate

    def correct(self, estimate: float, characters: int, prompt: int, reply: int) -> None:
        """The answer is there, and tells the tokens of both."""
        if self._tokens and prompt:
            self._tokens.take(prompt + reply - estimate)
            self._characters += characters
            self._prompts += prompt
            self._reply += 0.1 * (reply - self._reply)
