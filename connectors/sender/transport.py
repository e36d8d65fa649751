"""What can go wrong between us and a provider, by what may have become of the message."""


class NotConnected(Exception):  # noqa: N818 - it says what is the case
    """Nothing left: there was no connection, no TLS, or the other side did not know us."""


class Broken(Exception):  # noqa: N818
    """The connection broke, or time ran out, after the message began to leave: it may have been taken."""
