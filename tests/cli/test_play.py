"""A person plays: in the terminal any benchmark, in a browser those with pages."""

import os
import re
import shutil
import signal
import subprocess

import pytest
from browser import Browser


def test_a_person_plays_a_task_and_sees_the_score(metaplan_command):
    answer = metaplan_command("envs", "play", "household", input="\nlook\nfly to the moon\n")
    assert answer.returncode == 0, answer.stderr
    assert "Your task is to" in answer.stdout
    assert "go to {receptacle}" in answer.stdout
    assert "step 1 of 30, reward 0.00\n" in answer.stdout
    assert "step 2 of 30, reward 0.00  not possible: nothing changed" in answer.stdout
    assert "not finished, not solved: reward 0.00" in answer.stdout
    assert "\x1b" not in answer.stdout


def test_the_game_ends_at_the_agent_s_step_limit(metaplan_command):
    answer = metaplan_command("envs", "play", "household", input="look\n" * 40)
    assert "step 30 of 30" in answer.stdout
    assert "step 31" not in answer.stdout


def test_a_task_is_found_by_its_set_and_by_the_beginning_of_its_key(metaplan_command):
    by_set = metaplan_command("envs", "play", "household", "unseen", input="").stdout
    key = re.search(r"household/unseen/\S+", by_set)[0]
    by_key = metaplan_command("envs", "play", "household", key[:-1], input="").stdout
    short = metaplan_command("envs", "play", "household", key.removeprefix("household/"), input="")
    assert by_set == by_key == short.stdout


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["chess"], "no benchmark is called 'chess'"),
        (["household", "nowhere"], "household has no task set 'nowhere', and no task"),
        (["household", "--web"], "household has no pages for a browser"),
        (["webshop", "--web", "--port", "99999"], "can't listen on port 99999"),
    ],
)
def test_what_cannot_be_played_is_said_in_one_message(metaplan_command, arguments, message):
    answer = metaplan_command("envs", "play", *arguments, input="")
    assert answer.returncode == 2
    assert message in answer.stderr
    assert "Traceback" not in answer.stderr


@pytest.mark.skipif(shutil.which("chromium") is None, reason="there is no chromium")
def test_a_person_shops_in_a_real_browser(metaplan_command, tmp_path):
    command = metaplan_command.command("envs", "play", "webshop", "--web")
    environment = os.environ | {"XDG_CACHE_HOME": str(tmp_path / "cache")}
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True, env=environment) as server:
        address = server.stdout.readline().split("open ")[1].split()[0]
        with Browser(tmp_path / "profile") as browser:
            browser.open(address)
            assert browser.text("h1") == "WebShop"
            browser.type("[name=keywords]", "red")
            browser.press("button.search")
            assert browser.text("h1").startswith("Page 1 (Total results: ")
            browser.press("button.link")
            browser.press("button.option")
            assert browser.text("button[aria-pressed=true]")
            browser.press('button[value="click[Buy Now]"]')
            assert browser.text("h1") == "Thank you for shopping with us!"
            assert "The visit is over: reward " in browser.text("[role=status]")
            assert browser.complaints() == []
        server.send_signal(signal.SIGINT)
        assert server.wait(timeout=20) == 0
