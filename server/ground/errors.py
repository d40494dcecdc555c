"""Every error a user can cause or mend. The sentence says what, which value, what to do."""

from __future__ import annotations

from ..contract.jobs import Problem


class ServerError(Exception):
    """Base: `status` is the HTTP status, `title` the short name of the kind."""

    status = 500
    title = "The server failed"

    def problem(self, instance: str = "") -> Problem:
        """The problem document of this error."""
        return Problem(self.title, self.status, str(self), self.type_uri(), instance)

    @classmethod
    def type_uri(cls) -> str:
        """A stable name of the kind, for programs."""
        return f"urn:landbrush:problem:{cls.__name__}"


class BadRequest(ServerError):
    """The request is not of the contract's form."""

    status, title = 400, "The request is not understood"


class Unauthorised(ServerError):
    """No token, or the wrong one."""

    status, title = 401, "The token is missing or wrong"


class Forbidden(ServerError):
    """A path outside the allowed folders, or a foreign Host header."""

    status, title = 403, "Not allowed"


class UnknownProcess(ServerError):
    """No editor of that name. The type is the one OGC 18-062r2 asks for."""

    status, title = 404, "No such process"

    @classmethod
    def type_uri(cls) -> str:
        """As OGC names it."""
        return "http://www.opengis.net/def/exceptions/ogcapi-processes-1/1.0/no-such-process"


class UnknownJob(ServerError):
    """No job of that id."""

    status, title = 404, "No such job"

    @classmethod
    def type_uri(cls) -> str:
        """As OGC names it."""
        return "http://www.opengis.net/def/exceptions/ogcapi-processes-1/1.0/no-such-job"


class ResultNotReady(ServerError):
    """The job has not ended."""

    status, title = 404, "The result is not ready"

    @classmethod
    def type_uri(cls) -> str:
        """As OGC names it."""
        return "http://www.opengis.net/def/exceptions/ogcapi-processes-1/1.0/result-not-ready"


class TooLarge(ServerError):
    """More bytes than the operator allows."""

    status, title = 413, "Too large"


class Conflict(ServerError):
    """The idempotency key was used for another request."""

    status, title = 409, "The key belongs to another request"


class RasterUnreadable(ServerError):
    """The file cannot be opened, or is of a kind that cannot be edited."""

    status, title = 422, "The raster cannot be edited"


class OutsideRaster(ServerError):
    """The polygons or the extent touch no pixel of the raster."""

    status, title = 422, "Nothing to edit there"


class CannotEdit(ServerError):
    """The editor cannot do this with these inputs."""

    status, title = 422, "The editor cannot do this"


class NotFoundInLayer(CannotEdit):
    """No window of the layer looks enough like the word."""

    title = "Not found in this layer"


class WeightsMissing(ServerError):
    """A model's files are not on this machine."""

    status, title = 503, "Model files are missing"


class ModelNotNamed(WeightsMissing):
    """What is asked for needs a model of the user's, and none is named on this server."""

    status, title = 422, "No model is named for this"


class UnknownModel(ServerError):
    """No model of that name."""

    status, title = 404, "No such model"


class ModelRefused(ServerError):
    """Files that are not what they claim to be, or not this model."""

    status, title = 422, "The model's files are refused"


class LicenceNotAccepted(ServerError):
    """The model's licence has conditions that the user must accept first."""

    status, title = 403, "The licence must be accepted first"


class HubUnreachable(ServerError):
    """The place models are downloaded from does not answer, or not with what was asked."""

    status, title = 502, "The download failed"


class NoSpace(ServerError):
    """The disk is full, or a folder cannot be written."""

    status, title = 507, "The result cannot be written"


class PromiseBroken(ServerError):
    """The gate refused the file: it is not on the source's grid, or pixels outside changed."""

    status, title = 500, "The result broke the raster promise and was thrown away"


class Dismissed(Exception):
    """Raised inside an editor's step when the job was dismissed."""
