"""What people think of pictures: a blind rating page of an evaluation's results, its answers, and
what they say. The form is that of Han et al. (section IV): fidelity and satisfaction of the
request, whole numbers from 1 to 5, the systems in no order and without names, experts and others
asked apart; the subjective score is the mean of both."""

from __future__ import annotations

PAGE = "index.html"
KEY = "key.json"
"""Which picture is whose: never part of the page."""
ANSWERS = "answers"
"""Folder of answers that came in by the server, a CSV a respondent."""
QUESTIONS = ("fidelity", "satisfaction")
GROUPS = ("expert", "lay")
LOWEST, HIGHEST = 1, 5
COLUMNS = ("respondent", "group", "case", "picture", *QUESTIONS)
