"""Processing algorithms: `landbrush:edit` by words, and one for every editor, with its options as
parameters."""

import json

from qgis.core import (
    QgsProcessingParameterString,
)

from ...server.contract.editors import AUTO, EditorInfo
from ..errors import PluginError
from ..told import told
from ..translated import tr
from .algorithm import PROMISE, RasterAlgorithm
from .parameters import elevation, exemplar, ground, of_option, option_value

KEPT_NAMES = {
    "rsedit-unet": "rsedit_unet",
    "rsedit-dit": "rsedit_dit",
    "flux-kontext": "flux_kontext",
    "instruct-pix2pix": "instruct_pix2pix",
}
"""Algorithms that keep the name under which models and scripts of QGIS call them."""


class EditAlgorithm(RasterAlgorithm):
    """By words, or with any editor and its options as JSON."""

    def createInstance(self):
        """A new one of its kind: QGIS makes one for each run."""
        return EditAlgorithm()

    def name(self) -> str:
        """Id in the toolbox, which models and scripts are kept with."""
        return "edit"

    def displayName(self):
        """Name in the toolbox."""
        return tr("Edit raster inside polygons")

    def shortHelpString(self):
        """Help beside the form."""
        return tr(
            "Say what should be there in PROMPT (for instance 'remove the shed', 'forest here', "
            "'flooded'), or name an "
            'EDITOR. OPTIONS are the editor\'s own, as JSON, for instance {"visibility_m": '
            "200}.\n\n"
        ) + tr(PROMISE)

    def own_parameters(self):
        """The editor, the words, the operation and the options, each as text."""
        return [
            QgsProcessingParameterString("PROMPT", tr("What should be there"), "", optional=True),
            QgsProcessingParameterString(
                "OPERATION", tr("Operation meant, where the words are not clear"), "", optional=True
            ),
            QgsProcessingParameterString(
                "EDITOR", tr("Editor (auto: from the words)"), AUTO, optional=True
            ),
            QgsProcessingParameterString(
                "OPTIONS", tr("Options of the editor (JSON)"), "", optional=True, multiLine=True
            ),
            *exemplar(optional=True),
            *elevation(optional=True),
            *ground(),
        ]

    def what(self, parameters, context):
        """Editor (AUTO: by the words), prompt and options; raises PluginError for bad JSON."""
        text = self.parameterAsString(parameters, "OPTIONS", context).strip()
        try:
            options = json.loads(text) if text else {}
        except ValueError as error:
            raise PluginError(tr("OPTIONS is not JSON: {error}", error=error)) from error
        if not isinstance(options, dict):
            raise PluginError(tr('OPTIONS must be a JSON object such as {"severity": 0.8}.'))
        editor = self.parameterAsString(parameters, "EDITOR", context).strip() or AUTO
        return editor, self.parameterAsString(parameters, "PROMPT", context), options


class EditorAlgorithm(RasterAlgorithm):
    """One editor; nothing here knows which."""

    info: EditorInfo

    def __init__(self, info) -> None:
        super().__init__()
        self.info = info

    def createInstance(self):
        """A new one of its kind: QGIS makes one for each run."""
        return EditorAlgorithm(self.info)

    def name(self):
        """Id in the toolbox, which models and scripts are kept with."""
        return KEPT_NAMES.get(self.info.id, self.info.id)

    def displayName(self):
        """Name in the toolbox."""
        return self.info.title

    def group(self):
        """Folder in the toolbox."""
        return tr("Editors")

    def groupId(self) -> str:
        """Stable id of the folder."""
        return "editors"

    def shortHelpString(self) -> str:
        """Help beside the form."""
        return f"{told(self.info.description)}\n\n{told(self.info.engine)}\n\n{tr(PROMISE)}"

    def own_parameters(self):
        """Prompt, exemplar and heights where the editor takes them, then its options."""
        info = self.info
        found = []
        if info.takes("prompt"):
            found.append(
                QgsProcessingParameterString(
                    "PROMPT", tr("Prompt"), "", optional="prompt" not in info.needs
                )
            )
        if info.takes("exemplar"):
            found += exemplar(optional="exemplar" not in info.needs)
        if info.takes("elevation"):
            found += elevation(optional="elevation" not in info.needs)
        if info.takes("ground"):
            found += ground()
        return found + [of_option(option) for option in info.options]

    def what(self, parameters, context):
        """The editor's id, the prompt where it takes one, and its options."""
        options = {
            option.name: option_value(self, option, parameters, context)
            for option in self.info.options
        }
        prompt = (
            self.parameterAsString(parameters, "PROMPT", context)
            if self.info.takes("prompt")
            else ""
        )
        return self.info.id, prompt, options
