"""Prices of devices: which one fits a device's name, and what is refused in the home's settings."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from assay.costs.rates import Price, Rates
from assay.errors import SpecError
from assay.home import Home
from assay.settings import Settings, rates_of
from assay.text import usd
from repository import ROOT


def price(device: str, dollars: float | None, **more: Any) -> Price:
    return Price(device=device, usd_per_hour=dollars, date="2026-11-30", source="a list", **more)


RATES = Rates([price("V100-16GB", 3.0), price("V100-32GB", 4.0), price("A100", 10.0), price("cpu", 0.5)])


@pytest.mark.parametrize(
    ("device", "dollars"),
    [
        ("Tesla V100-SXM2-16GB", 3.0),
        ("Tesla V100-SXM2-32GB", 4.0),
        ("V100", 3.0),
        ("NVIDIA A100-SXM4-80GB", 10.0),
        ("cpu (x86_64)", 0.5),
        ("Tesla T4", None),
        ("TPU v3", None),
        ("Tesla V100-SXM2-16GB, Tesla V100-SXM2-32GB", None),
        ("Tesla V100-SXM2-16GB, V100", 3.0),
        ("", None),
    ],
)
def test_the_first_that_fits_a_device_counts(device: str, dollars: float | None) -> None:
    assert RATES.usd_per_hour(device) == dollars


def test_dollars_of_devices_for_some_time() -> None:
    assert RATES.usd("NVIDIA A100-SXM4-40GB", 8, 1800.0) == 40.0
    assert RATES.usd("Tesla T4", 8, 1800.0) is None


def test_the_spot_market_has_prices_of_its_own() -> None:
    both = [price("V100", 3.0, spot_usd_per_hour=1.0), price("A100", 10.0)]
    spot = Rates(both, "spot")
    assert (spot.usd_per_hour("V100"), spot.usd_per_hour("A100")) == (1.0, None)
    assert Rates(both).usd_per_hour("V100") == 3.0


@pytest.mark.parametrize(
    ("dollars", "words"),
    [
        (0, "$0"),
        (1e-6, "<$0.0001"),
        (0.00042, "$0.00042"),
        (0.0401, "$0.04"),
        (3.06, "$3.06"),
        (99.99, "$99.99"),
        (1914.2, "$1,914"),
    ],
)
def test_dollars_in_words(dollars: float, words: str) -> None:
    assert usd(dollars) == words


def home(folder: Path, text: str) -> Home:
    folder.mkdir(exist_ok=True)
    (folder / "settings.yaml").write_text(text)
    return Home(folder)


def test_the_list_that_is_shipped_can_be_named_or_pasted(tmp_path: Path) -> None:
    shipped = ROOT / "infra" / "prices.yaml"
    named = rates_of(home(tmp_path, f"prices: {shipped}\nmarket: spot\n"))
    pasted = rates_of(home(tmp_path, shipped.read_text()))
    assert named.prices == pasted.prices
    assert named.market == "spot"
    assert pasted.usd_per_hour("Tesla V100-SXM2-16GB") == pytest.approx(24.48 / 8, abs=0.01)
    assert all(each.source.endswith("https://instances.vantage.sh") for each in pasted.prices if each.device != "cpu")
    assert pasted.usd_per_hour("cpu") == named.usd_per_hour("cpu") == 0, "a stage without a GPU refuses no limit"


def test_a_file_is_found_from_the_folder_of_the_settings(tmp_path: Path) -> None:
    (tmp_path / "ours.yaml").write_text("prices: [{device: cpu, usd_per_hour: 1, date: 2026-11-30, source: ours}]\n")
    assert rates_of(home(tmp_path / "home", "prices: ../ours.yaml\n")).usd_per_hour("cpu (x86_64)") == 1.0


@pytest.mark.parametrize(
    ("text", "message"),
    [
        (
            "prices: nowhere.yaml",
            "settings.yaml:1: prices: got 'nowhere.yaml', no such file; allowed: a list of prices",
        ),
        (
            "prices:\n  - {device: V10, usd_per_hour: 1, date: 2026-11-30, source: a}",
            "settings.yaml:2: prices[0].device",
        ),
        ("prices:\n  - {device: T4, date: 2026-11-30, source: a}", "prices[0]: got neither usd_per_hour nor spot"),
        ("prices:\n  - {device: T4, usd_per_hour: 1, source: a}", "prices[0].date"),
        (
            "prices:\n  - {device: T4, usd_per_hour: 1, date: May, source: a}",
            "prices[0].date: got 'May', allowed: the day",
        ),
        ("prices:\n  - {device: T4, usd_per_hour: 1, date: 2026-11-30}", "prices[0].source"),
        ("prices:\n  - {device: T4, usd_per_hour: -1, date: 2026-11-30, source: a}", "prices[0].usd_per_hour: got -1"),
        ("market: reserved", "settings.yaml:1: market: got 'reserved' (str), allowed: on_demand, spot"),
        ("prices: 3", "settings.yaml:1: prices: got 3"),
    ],
)
def test_what_is_wrong_is_refused_at_its_line(tmp_path: Path, text: str, message: str) -> None:
    with pytest.raises(SpecError) as refused:
        Settings.of(home(tmp_path, text))
    assert message in str(refused.value)


def test_what_is_wrong_in_a_file_of_prices_is_refused_there(tmp_path: Path) -> None:
    (tmp_path / "ours.yaml").write_text("prices:\n  - {device: T4, usd_per_hour: 1, date: 2026-11-30}\n")
    with pytest.raises(SpecError, match=r"ours\.yaml:2: prices\[0\]\.source"):
        rates_of(home(tmp_path, "prices: ours.yaml\n"))
