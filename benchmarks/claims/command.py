"""The command: chooses claims, does what is missing, writes what was found."""

from __future__ import annotations

import argparse
import sys
from datetime import date
from math import prod
from pathlib import Path

from pydantic import ValidationError
from safetensors import safe_open

from claims.designs import designs
from claims.estimate import estimate
from claims.findings import About, Finding, Findings, find
from claims.laboratory import Laboratory
from claims.plots import draw
from claims.study import Study, load_study
from claims.tables import markdown
from metaplan.cli.consoles import duration, messages
from metaplan.cli.progress import TerminalProgress
from metaplan.core import ConfigError, UserError
from metaplan.environments import get_benchmark
from metaplan.recipes.config import AgentConfig
from metaplan.runs import write_text
from metaplan.runs.files import versions
from metaplan.runs.models import agent_directory, agent_name

__all__ = ["main", "run_study"]

_PAGE, _FOUND = "claims.md", "claims.json"
_AGENTS = {"main": "agent", "larger": "larger", "planless": "planless"}
"""Names of agents to the options that give them."""


def main(arguments: list[str] | None = None) -> None:
    """Runs the command; see README.md. What a person can put right ends it with exit code 2."""
    said = _parser().parse_args(arguments)
    console = messages()
    agents = {name: getattr(said, flag) for name, flag in _AGENTS.items()}
    try:
        study = load_study(
            _study_file(said.benchmark),
            said.out,
            workload=said.workload,
            seeds=tuple(said.seeds),
            agents=agents,
        )
        if said.plan:
            _print_plan(study, said.claims)
        else:
            run_study(study, said.claims, _shown(said))
    except UserError as error:
        console.print(f"error: {error}", markup=False, highlight=False, soft_wrap=True)
        sys.exit(2)
    except KeyboardInterrupt:
        console.print("interrupted: what is finished is saved; the same command goes on from here")
        sys.exit(130)


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="benchmarks/claims", description="The claims, tested.")
    parser.add_argument(
        "--out", type=Path, required=True, help="directory; an existing one goes on"
    )
    parser.add_argument(
        "--benchmark", default="household", help="household, alfworld, or a YAML file like theirs"
    )
    parser.add_argument("--seeds", type=int, nargs="+", default=[], help="default: the study's own")
    keys = [f"C{number}" for number in range(8)]
    parser.add_argument("--claims", nargs="+", choices=keys, default=keys, metavar="C1")
    parser.add_argument("--agent", help="main agent: a model's directory or name, or 'follower'")
    parser.add_argument("--larger", help="of C4: a larger agent, likewise")
    parser.add_argument("--planless", help="of C0 and C4: one trained without any plans, likewise")
    parser.add_argument("--workload", choices=("quick", "full"), default="full")
    parser.add_argument("--plan", action="store_true", help="only say what would be done")
    return parser


def _study_file(benchmark: str) -> Path:
    """A study beside this module by its name, or a file.

    Raises:
        ConfigError: There is no such study.
    """
    own = Path(__file__).parent / f"{benchmark}.yaml"
    path = own if own.is_file() else Path(benchmark)
    if not path.is_file():
        raise ConfigError(f"there is no study {benchmark}: give household, alfworld or a YAML file")
    return path


def _shown(said: argparse.Namespace) -> str:
    """The command in short, with names for paths."""
    words = ["python benchmarks/claims --out DIR"]
    for name, value in vars(said).items():
        if value and value != _parser().get_default(name) and name not in {"out", "claims"}:
            values = value if isinstance(value, list) else [agent_name(Path(value))]
            words.append(f"--{name} {' '.join(map(str, values))}")
    return " ".join(words)


def _print_plan(study: Study, keys: list[str]) -> None:
    print(f"{'claim':<7}{'trainings':>10}{'explored':>10}{'evaluated':>11}   time")
    total = 0.0
    for step in estimate(study, [d for key, d in designs(study).items() if key in keys]):
        total += step.seconds
        print(
            f"{step.key:<7}{step.trainings:>10}{step.explored:>10}{step.evaluated:>11}   "
            f"{duration(step.seconds)}"
        )
    print(f"episodes at most: equal plans share them; all together {duration(total)}")


def run_study(study: Study, keys: list[str], command: str) -> None:
    """Claim by claim; what is found is written at once."""
    progress = TerminalProgress(messages())
    laboratory = Laboratory(study, progress)
    about = _about(study, command)
    for key, design in designs(study).items():
        if key not in keys:
            continue
        progress.say(f"{key}: {design.claim}")
        finding = find(design, laboratory.outcomes(design.arms()))
        progress.say(f"{key}: {finding.verdict}")
        _write(study, about, _with_earlier(study.out / _FOUND, finding))
    print(study.out / _PAGE)


def _about(study: Study, command: str) -> About:
    sets = sorted({wanted.task_set for wanted in study.config.tasks.evaluate.values()})
    return About(
        benchmark=study.config.benchmark,
        workload=study.workload,
        date=date.today(),
        command=command,
        agents={name: _described(agent) for name, agent in study.agents.items()},
        recipe=Path(study.plan.recipe).stem,
        config=study.config,
        versions=versions(get_benchmark(study.config.benchmark), sets),
    )


def _described(agent: AgentConfig) -> str:
    """Name and size of an agent's model."""
    if agent.path is None:
        return agent.served.model if agent.served else "the rule-based plan follower"
    directory = agent_directory(agent.path)
    parameters = 0
    for weights in directory.glob("*.safetensors"):
        with safe_open(weights, "np") as tensors:
            parameters += sum(prod(tensors.get_slice(n).get_shape()) for n in tensors.keys())  # noqa: SIM118
    return f"{agent_name(directory)} ({parameters / 1e6:.1f}M parameters)"


def _with_earlier(path: Path, new: Finding) -> tuple[Finding, ...]:
    """The new finding among those of earlier commands, by key."""
    try:
        found = {f.key: f for f in Findings.model_validate_json(path.read_text("utf-8")).findings}
    except (OSError, ValidationError):
        found = {}
    return tuple(finding for _, finding in sorted((found | {new.key: new}).items()))


def _write(study: Study, about: About, findings: tuple[Finding, ...]) -> None:
    whole = Findings(about=about, findings=findings)
    plots = draw(study, findings, study.out)
    write_text(study.out / _PAGE, markdown(whole, plots))
    write_text(study.out / _FOUND, whole.model_dump_json(indent=1) + "\n")
