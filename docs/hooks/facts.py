"""What the pages say of models, metrics, judges and boards that code, cards or records know.

A page has a marker, ``<!-- facts: KIND NAME -->``, where a table made here stands in the built
site. Nothing of it is written down twice, so it cannot differ from what is played.
"""

from __future__ import annotations

import re
from collections.abc import Callable

from about_api import api_facts
from about_corpora import corpus_facts
from about_judges import judge_facts, judge_list
from about_metrics import metric_facts, metric_list
from about_models import model_facts, model_list, model_parameters
from about_people import people_facts
from about_suites import suite_facts

MARKER = re.compile(r"^<!-- facts: ([a-z-]+)(?: (\S+))?(?: (\S+))? -->$", re.M)
FACTS: dict[str, Callable[..., str]] = {
    "model": model_facts,
    "parameters": model_parameters,
    "metric": metric_facts,
    "judge": judge_facts,
    "models": model_list,
    "metrics": metric_list,
    "judges": judge_list,
    "people": people_facts,
    "corpora": corpus_facts,
    "suite": suite_facts,
    "api": api_facts,
}


def fill_in(page: str) -> str:
    """Returns a page with every marker replaced by its table.

    Raises:
        KeyError: a marker names no kind of facts.
    """
    return MARKER.sub(lambda found: FACTS[found[1]](*filter(None, found.groups()[1:])), page)
