"""The IPTC property that says how a picture came to be, in its XMP packet, where other programs
look for it (IPTC Photo Metadata Standard 2023.1, *Digital Source Type*).
"""

from __future__ import annotations

import re

from ..contract.inspection import SOURCE_EDITED, SOURCE_TERMS

TERMS = SOURCE_TERMS
EDITED = SOURCE_EDITED
"""A picture of which parts were made by a program."""
MADE = "trainedAlgorithmicMedia"
"""A picture that a trained network made from nothing."""
NAMESPACE = "http://iptc.org/std/Iptc4xmpExt/2008-02-29/"
RDF = "http://www.w3.org/1999/02/22-rdf-syntax-ns#"
_NAMED = re.compile(
    r"(?s)(DigitalSourceType\s*=\s*[\"'])(.*?)([\"'])|(DigitalSourceType\s*>)(.*?)(</)"
)


def _description(term: str) -> str:
    return (
        f'<rdf:Description rdf:about="" xmlns:rdf="{RDF}" xmlns:Iptc4xmpExt="{NAMESPACE}" '
        f'Iptc4xmpExt:DigitalSourceType="{TERMS}{term}"/>'
    )


def with_source_type(packet: str, term: str) -> str:
    """An XMP packet that says so, whatever it said of that before; a new one for an empty one. What
    holds no RDF is no XMP that could say anything, and stays as it is."""
    if not packet:
        return (
            '<?xpacket begin="\ufeff" id="W5M0MpCehiHzreSzNTczkc9d"?>'
            f'<x:xmpmeta xmlns:x="adobe:ns:meta/"><rdf:RDF xmlns:rdf="{RDF}">{_description(term)}'
            '</rdf:RDF></x:xmpmeta><?xpacket end="w"?>'
        )
    if _NAMED.search(packet):
        return _NAMED.sub(
            lambda m: f"{m[1] or m[4]}{TERMS}{term}{m[3] or m[6]}",
            packet,
        )
    head, end, rest = packet.rpartition("</rdf:RDF>")
    return f"{head}{_description(term)}{end}{rest}" if end else packet


def source_type_of(packet: str) -> str:
    """The term that an XMP packet states; empty: none."""
    found = _NAMED.search(packet)
    return (found[2] or found[5] or "").strip().rpartition("/")[2] if found else ""
