"""What the user is told when something goes wrong."""


class PluginError(Exception):
    """A failure with a message for the message bar and details for the log."""

    def __init__(self, message: str, details: str = "") -> None:
        super().__init__(message)
        self.message = message
        self.details = details or message


class FileNotShared(PluginError):
    """The server may not read this file of the machine; it can be sent instead."""


class ServerUnreachable(PluginError):
    """Nobody answers at the server's address."""


class Cancelled(PluginError):
    """The user cancelled; nothing went wrong."""

    def __init__(self) -> None:
        super().__init__("Cancelled")
