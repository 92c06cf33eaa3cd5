"""What `windtunnel lint` prints: the worst case before the findings, and both as JSON."""

import json
from pathlib import Path

import pytest

from scenarios import commands
from scenarios.exits import Exit
from tests.engine.test_policy_coupon_lint import SOUND

WORST_CASE = """\
Worst case (最大资损敞口): every coupon is issued, and redeemed where it takes off most; yuan
  full_100_10                10000.00  1000 × 10.00
  each_200_20                 6000.00  all of budget autumn
  twenty_percent              6000.00  all of budget autumn
  second_half_price           2500.00  100 × 25.00
  ship_free                    600.00  50 × 12.00
  lounge                       150.00  5 × 30.00
  total                      19250.00

"""


SHOP = SOUND.replace("    window: {from: 2026-03-01, until: 2026-03-08}\n", "")  # whatever day it is


@pytest.fixture
def shop(tmp_path: Path) -> Path:
    path = tmp_path / "shop.yaml"
    path.write_text(SHOP, "utf-8")
    return path


def test_the_worst_case_is_printed(shop: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert commands.lint(shop, False, False) == Exit.FINE
    assert capsys.readouterr().out.startswith(WORST_CASE)


def test_the_worst_case_as_json(shop: Path, capsys: pytest.CaptureFixture[str]) -> None:
    shop.write_text(SHOP.replace("pieces: 50", "over: 60.00").replace("over: 59.00, ", ""), "utf-8")
    assert commands.lint(shop, False, True) == Exit.FINE
    said = json.loads(capsys.readouterr().out)
    assert (said["worst_case"]["coupons"]["ship_free"], said["worst_case"]["total"]) == ("unbounded", "unbounded")
    assert "W19" in [finding["code"] for finding in said["findings"]]


def test_a_policy_without_coupons_has_no_worst_case(capsys: pytest.CaptureFixture[str]) -> None:
    policy = commands.LIBRARY / "policies" / "bank_card.yaml"
    assert commands.lint(policy, False, False) == Exit.FINE
    assert "Worst case" not in capsys.readouterr().out
