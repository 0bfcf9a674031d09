from __future__ import annotations

import re

from metaplan.reports.markdown import markdown


def test_every_table_line_has_as_many_cells_as_its_header(results, sample):
    text = markdown(results, sample.context())
    for table in re.findall(r"(?:^\|.*\n)+", text, flags=re.MULTILINE):
        counts = {len(re.findall(r"(?<!\\)\|", line)) for line in table.splitlines()}
        assert len(counts) == 1


def test_it_states_result_interval_coverage_and_limits(results, sample):
    text = markdown(results, sample.context())
    assert "With MPO plans the agent solved" in text
    assert "95% interval" in text
    assert "93 / 96" in text
    assert "3 model_error" in text
    assert "- The agent is a rule-based plan follower" in text


def test_untrusted_names_stay_text(sample, results):
    title = "a | b <script>alert(1)</script> `code` [x](javascript:y)\n# head"
    first = markdown(results, sample.context(title=title)).splitlines()[0]
    assert first == (r"# a \| b \<script\>alert(1)\</script\> \`code\` \[x\](javascript:y) # head")


def test_an_empty_context_and_a_single_method_leave_out_what_is_missing(sample):
    results = sample.results(methods=("none",), splits=("seen",), tasks=6)
    text = markdown(results, sample.context(notes=(), curves={}))
    assert "Paired over tasks" not in text
    assert "No plan" in text
