"""Every error a user can cause or mend. The sentence says what, which value, what to do."""

from __future__ import annotations

import errno

from ..contract.jobs import Problem


class ServerError(Exception):
    """Base: `status` is the HTTP status, `title` the short name of the kind, `ogc` the name that
    OGC 18-062r2 gives it; empty where it gives none."""

    status = 500
    title = "The server failed"
    ogc = ""

    def problem(self, instance: str = "") -> Problem:
        """The problem document of this error."""
        return Problem(self.title, self.status, str(self), self.type_uri(), instance)

    @classmethod
    def type_uri(cls) -> str:
        """A stable name of the kind, for programs."""
        if cls.ogc:
            return f"http://www.opengis.net/def/exceptions/ogcapi-processes-1/1.0/{cls.ogc}"
        return f"urn:landbrush:problem:{cls.__name__}"


class BadRequest(ServerError):
    """The request is not of the contract's form."""

    status = 400
    title = "The request is not understood"


class Unauthorised(ServerError):
    """No token, or the wrong one."""

    status = 401
    title = "The token is missing or wrong"


class Forbidden(ServerError):
    """A path outside the allowed folders, or a foreign Host header."""

    status = 403
    title = "Not allowed"


class UnknownProcess(ServerError):
    """No editor of that name."""

    status = 404
    title = "No such process"
    ogc = "no-such-process"


class UnknownJob(ServerError):
    """No job of that id."""

    status = 404
    title = "No such job"
    ogc = "no-such-job"


class ResultNotReady(ServerError):
    """The job has not ended."""

    status = 404
    title = "The result is not ready"
    ogc = "result-not-ready"


class TooLarge(ServerError):
    """More bytes than the operator allows."""

    status = 413
    title = "Too large"


class Conflict(ServerError):
    """The idempotency key was used for another request."""

    status = 409
    title = "The key belongs to another request"


class RasterUnreadable(ServerError):
    """The file cannot be opened, or is of a kind that cannot be edited."""

    status = 422
    title = "The raster cannot be edited"


class OutsideRaster(ServerError):
    """The polygons or the extent touch no pixel of the raster."""

    status = 422
    title = "Nothing to edit there"


class CannotEdit(ServerError):
    """The editor cannot do this with these inputs."""

    status = 422
    title = "The editor cannot do this"


class NotFoundInLayer(CannotEdit):
    """No window of the layer looks enough like the word."""

    title = "Not found in this layer"


class NotInstalled(ServerError):
    """A library that not every setup has is needed."""

    status = 422
    title = "Something is not installed"


class Busy(ServerError):
    """All that could do this is at work for others; it can be asked again."""

    status = 503
    title = "The server is busy"


class WeightsMissing(ServerError):
    """A model's files are not on this machine."""

    status = 503
    title = "Model files are missing"


class ModelNotNamed(WeightsMissing):
    """What is asked for needs a model of the user's, and none is named on this server."""

    status = 422
    title = "No model is named for this"


class UnknownModel(ServerError):
    """No model of that name."""

    status = 404
    title = "No such model"


class UnknownExemplar(ServerError):
    """No exemplar of that name in the library."""

    status = 404
    title = "No such exemplar"


class ModelRefused(ServerError):
    """Files that are not what they claim to be, or not this model."""

    status = 422
    title = "The model's files are refused"


class LicenceNotAccepted(ServerError):
    """The model's licence has conditions that the user must accept first."""

    status = 403
    title = "The licence must be accepted first"


class HubUnreachable(ServerError):
    """The place models are downloaded from does not answer, or not with what was asked."""

    status = 502
    title = "The download failed"


class NoSpace(ServerError):
    """The disk is full, or a folder cannot be written."""

    status = 507
    title = "The result cannot be written"


FULL = (errno.ENOSPC, errno.EROFS, getattr(errno, "EDQUOT", errno.ENOSPC), errno.EFBIG)


def as_no_space(error: BaseException) -> NoSpace | None:
    """An error of the system that tells of a full or read-only disk, as one with a sentence; None:
    it tells of something else."""
    if isinstance(error, OSError) and error.errno in FULL:
        where = f"{error.filename}: " if error.filename else ""
        return NoSpace(f"{where}{error.strerror}. Make room on the disk of the server's home.")
    return None


class PromiseBroken(ServerError):
    """The gate refused the file: it is not on the source's grid, or pixels outside changed."""

    status = 500
    title = "The result broke the raster promise and was thrown away"


class Dismissed(Exception):
    """Raised at the next call of `progress` once a job was dismissed (the panel says: cancelled):
    while it is read, edited, written or checked."""
