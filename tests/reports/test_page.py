from __future__ import annotations

import html
import os
import re
import shutil
import subprocess
import sys

import pytest

from metaplan.core import MissingDependencyError
from metaplan.evaluation import Results
from metaplan.reports import ExamplePlans, ReportContext, write_report
from metaplan.reports.page import page

HOSTILE = "<script>alert(1)</script> {{ 7*7 }} {% raw %} [bold] $\\bad{$ \x1b[31m <!-- --> & \"'"


@pytest.fixture(scope="session")
def text(report):
    return report.read_text("utf-8")


@pytest.fixture(scope="session")
def chromium():
    found = next(filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome"))))
    if found is None:
        if os.environ.get("METAPLAN_REQUIRE_BROWSER") == "1":
            pytest.fail("METAPLAN_REQUIRE_BROWSER=1 and no chromium on PATH")
        pytest.skip("no chromium on PATH")
    return found


def rendered(chromium, path, profile, *, width=1200):
    """The DOM and the console's lines after the page has loaded in a real browser."""
    done = subprocess.run(
        [
            chromium,
            "--headless",
            "--no-sandbox",
            "--disable-gpu",
            "--enable-logging=stderr",
            f"--user-data-dir={profile}",
            f"--window-size={width},900",
            "--dump-dom",
            path.as_uri(),
        ],
        capture_output=True,
        text=True,
        timeout=120,
        check=True,
    )
    return done.stdout, [line for line in done.stderr.splitlines() if "CONSOLE" in line]


def test_the_report_holds_three_files_and_nothing_half_written(report, results):
    assert sorted(path.name for path in report.parent.iterdir()) == [
        "index.html",
        "results.json",
        "results.md",
    ]
    written = Results.model_validate_json((report.parent / "results.json").read_text("utf-8"))
    assert written == results


def test_a_second_report_replaces_the_first_and_is_the_same(report, results, sample, text):
    again = write_report(report.parent, results, sample.context())
    assert again.read_text("utf-8") == text


def test_it_is_the_same_in_another_process(text, results, sample, tmp_path):
    (tmp_path / "results.json").write_text(results.model_dump_json(), "utf-8")
    (tmp_path / "context.json").write_text(sample.context().model_dump_json(), "utf-8")
    code = (
        "import sys, pathlib as p; from metaplan.evaluation import Results;"
        "from metaplan.reports import ReportContext, write_report;"
        "d = p.Path(sys.argv[1]); read = lambda n: (d / n).read_text('utf-8');"
        "write_report(d / 'report', Results.model_validate_json(read('results.json')),"
        " ReportContext.model_validate_json(read('context.json')))"
    )
    subprocess.run([sys.executable, "-c", code, str(tmp_path)], check=True)
    assert (tmp_path / "report" / "index.html").read_text("utf-8") == text


def test_the_page_refers_to_nothing_outside_itself(text):
    assert "http://" not in text
    assert "https://" not in text
    references = re.findall(r"""(?:href|src|action)=["']([^"']*)|url\(([^)]*)\)""", text)
    assert references
    assert all((a or b).startswith("#") for a, b in references)
    assert "<script" not in text
    assert "@import" not in text


def test_every_reference_inside_the_page_has_one_target(text):
    ids = re.findall(r'\bid="([^"]+)"', text)
    wanted = set(re.findall(r'(?:href="|url\()#([^")]+)', text))
    assert wanted <= set(ids)
    assert all(ids.count(name) == 1 for name in wanted)


def test_sections_come_in_the_order_of_the_argument(text):
    headings = re.findall(r"<h[23]>([^<]+)</h[23]>", text)
    expected = [
        "Results",
        "Methods",
        "Paired differences",
        "Reward per step",
        "Per task type",
        "Exploration",
        "Training",
        "Plans side by side",
        "Episodes",
        "The run",
    ]
    assert [heading for heading in headings if heading in expected] == expected


def test_missing_episodes_and_limits_stand_beside_the_headline(text):
    assert "RFT on seen: 93 of 96 tasks" in text
    assert "Limits of these numbers" in text


def test_every_plot_says_in_words_what_it_shows(text):
    labels = re.findall(r'<svg[^>]* role="img" aria-label="([^"]+)"', text)
    assert len(labels) == text.count("<svg") >= 15
    assert any(label.startswith("Success rate on seen, %. No plan: ") for label in labels)


def test_plots_take_their_colours_from_the_page_so_that_dark_mode_works(text):
    drawings = "".join(re.findall(r"<svg.*?</svg>", text, flags=re.DOTALL))
    assert "var(--mpo)" in drawings
    assert "var(--ink)" in drawings
    assert not re.findall(r"(?:fill|stroke): ?#[0-9a-f]{3,6}", drawings)


def test_a_long_method_name_is_not_cut_off_by_the_edge_of_a_plot(sample):
    name = "a-planner-with-a-rather-long-name"
    results = sample.results(methods=("none", name), splits=("seen",), tasks=12)
    text = page(results, ReportContext(title="long"))
    drawn = re.search(rf"<g id=[^>]*>\s*<text ([^>]*)>{name}</text>", text)
    assert drawn is not None
    assert "text-anchor: start" in drawn[1]  # from the left edge, with the whole width for it
    assert 'x="14"' in drawn[1]


def test_untrusted_text_is_shown_and_never_interpreted(sample):
    task = sample.task(1).model_copy(update={"task_type": HOSTILE, "instruction": HOSTILE})
    context = sample.context(
        title=HOSTILE,
        notes=(HOSTILE,),
        config_yaml=HOSTILE,
        example_plans=(
            ExamplePlans(task_key=task.key, instruction=HOSTILE, plans={HOSTILE: HOSTILE}),
        ),
        curves={HOSTILE: ({"step": 1, "loss": 1.0},)},
    )
    results = sample.results(methods=("none", HOSTILE), splits=("seen", HOSTILE), tasks=12, void=0)
    text = page(results, context)
    assert "<script" not in text
    assert "<!-- -->" not in text
    assert "\x1b" not in text
    shown = html.unescape(text)
    assert "</script> 49" not in shown
    assert shown.count("{{ 7*7 }} {% raw %} [bold] $\\bad{$ \u241b[31m") > 10


@pytest.mark.parametrize(
    ("methods", "splits", "tasks"),
    [
        (("none",), ("seen",), 6),
        (("mpo",), ("seen",), 1),
        (("none", "mpo"), ("seen",), 1),
        (("sft", "mine"), ("seen", "unseen"), 12),
    ],
)
def test_small_results_without_context_give_a_page_without_empty_sections(
    sample, methods, splits, tasks
):
    results = sample.results(methods=methods, splits=splits, tasks=tasks)
    text = page(results, ReportContext(title="small"))
    for absent in ("Exploration", "Training", "Plans side by side", "Episodes</h2>", "Limits"):
        assert absent not in text
    assert ("Paired differences" in text) == (len(methods) > 1)
    assert ("Per task type" in text) == (tasks > 1)
    assert "The run" in text


def test_a_single_task_gives_no_interval_and_no_claim(sample):
    results = sample.results(methods=("none", "mpo"), splits=("seen",), tasks=1)
    text = page(results, ReportContext(title="one"))
    assert "One task: no interval." in text
    assert "above zero" not in text


def test_training_seeds_are_shown_one_by_one_where_there_are_several(sample):
    results = sample.results(methods=("none", "mpo"), splits=("seen",), tasks=12)
    rows = results.rows
    seeds = [
        row.model_copy(update={"seed": seed, "mean": 0.111 * seed})
        for seed in (1, 2)
        for row in rows
        if row.method == "mpo"
    ]
    text = page(results.model_copy(update={"rows": (*rows, *seeds)}), ReportContext(title="seeds"))
    assert "Seed by seed" in text
    assert ">11.1<" in text
    assert ">22.2<" in text
    assert "Seed by seed" not in page(results, ReportContext(title="one seed"))


@pytest.mark.parametrize("package", ["jinja2", "matplotlib"])
def test_without_the_extra_the_numbers_are_written_and_the_page_says_what_to_install(
    package, sample, tmp_path, monkeypatch
):
    monkeypatch.setitem(sys.modules, package, None)
    results = sample.results(methods=("none", "mpo"), splits=("seen",), tasks=6)
    with pytest.raises(MissingDependencyError, match=r"metaplan\[report\]"):
        write_report(tmp_path, results, ReportContext(title="no extra"))
    assert sorted(path.name for path in tmp_path.iterdir()) == ["results.json", "results.md"]


def test_results_without_rows_give_a_page(sample):
    text = page(Results(rows=(), differences=()), ReportContext(title="nothing"))
    assert "The run" in text


def test_curves_with_gaps_and_scores_without_pairs_are_drawn(sample, results):
    curve = ({"step": 1, "loss": float("nan")}, {"step": 2, "eval_loss": 0.3}, {"epoch": 1.0})
    text = page(results, sample.context(curves={"sft": curve}, pairs=()))
    assert "SFT: loss" in text
    assert "gap of a pair" not in text


def test_a_browser_renders_it_without_a_word_on_the_console(chromium, report, tmp_path):
    dom, console = rendered(chromium, report, tmp_path / "profile")
    assert console == []
    assert dom.count("<details") == 5
    assert 'aria-label="Success rate on seen, %. No plan: ' in dom


def test_a_browser_would_report_a_request_or_script_that_slipped_in(
    chromium, report, text, tmp_path
):
    page_file = tmp_path / "page.html"
    slipped = '<script>document.title = "ran"</script><img src="http://localhost:9/x.png">'
    page_file.write_text(text.replace("</main>", f"{slipped}</main>"), "utf-8")
    dom, console = rendered(chromium, page_file, tmp_path / "profile")
    assert "<title>ran" not in dom
    assert any("Content Security Policy" in line for line in console)


@pytest.mark.parametrize("width", [360, 768, 1200])
def test_the_page_never_scrolls_sideways(chromium, text, tmp_path, width):
    frame = tmp_path / "frame.html"
    frame.write_text(
        f'<iframe id="f" style="width:{width}px;height:800px;border:0" '
        f'srcdoc="{html.escape(text)}"></iframe><script>'
        "onload = () => { const e = document.getElementById('f').contentDocument.documentElement;"
        "for (const d of e.querySelectorAll('details')) d.open = true;"
        "document.title = 'hidden ' + (e.scrollWidth - e.clientWidth) }</script>",
        "utf-8",
    )
    dom, _ = rendered(chromium, frame, tmp_path / "profile", width=1300)
    assert "<title>hidden 0</title>" in dom


def test_the_quality_of_merged_plans_is_told_where_there_are_such(results, sample):
    context = sample.context()
    assert "Q of merged plans" not in page(results, context)
    merged, *others = context.plan_scores
    scores = (merged.model_copy(update={"merged": True, "mean": 0.75}), *others)
    told = page(results, sample.context(plan_scores=scores))
    assert "<dt>Q of merged plans</dt><dd>0.75</dd>" in told
