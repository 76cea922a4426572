"""Who computes what, decided without Ray."""

import random
from dataclasses import replace

from assay.execution.broker import Request, StageBroker, too_large
from assay.execution.requirements import Need


def request(key: str, *inputs: str, cpus: float = 1, units: tuple[int, int] = (1, 1), lineage: str = "") -> Request:
    return Request(key, lineage or key, key, inputs, Need({"CPU": cpus}, *units))


def test_a_shared_stage_is_granted_once() -> None:
    broker = StageBroker([{"CPU": 4}])
    needs = [request("train"), request("evaluate", "train")]
    assert broker.decide(0, needs).key == "train"
    assert broker.decide(1, needs).action == "wait"
    broker.finish("train")
    assert broker.decide(1, needs).key == "evaluate"
    assert broker.decide(0, needs).action == "wait"
    broker.finish("evaluate")
    assert broker.decide(0, needs).action == broker.decide(1, needs).action == "done"


def test_a_stage_that_another_run_computes_holds_no_room_and_is_granted_again_after_a_look() -> None:
    broker = StageBroker([{"CPU": 2}])
    needs = [request("train", cpus=2), request("reference", cpus=2)]
    assert broker.decide(0, needs).key == "train"
    lineages = broker.defer("train")
    assert broker.decide(0, needs).key == "reference"
    broker.finish("reference")
    assert broker.decide(0, needs).action == "wait"
    assert broker.wanted() == [], "more machines would not help"
    broker.look_again(lineages)
    assert broker.decide(0, needs).key == "train"


def test_a_stage_waits_for_its_inputs_while_another_goes_ahead() -> None:
    broker = StageBroker([{"CPU": 4}])
    needs = [request("classifier"), request("train"), request("sample", "classifier", "train")]
    assert broker.decide(0, needs).key == "classifier"
    assert broker.decide(1, needs).key == "train"
    assert broker.decide(2, needs).action == "wait"


def test_no_more_is_granted_than_the_cluster_has() -> None:
    broker = StageBroker([{"CPU": 2}])
    assert broker.decide(0, [request("a", cpus=2)]).action == "run"
    assert broker.decide(1, [request("b")]).action == "wait"
    broker.finish("a")
    assert broker.decide(1, [request("b")]).action == "run"


def test_a_small_stage_passes_a_large_one_that_does_not_fit_yet() -> None:
    broker = StageBroker([{"CPU": 2}])
    assert broker.decide(0, [request("a")]).key == "a"
    assert broker.decide(1, [request("large", cpus=2), request("small")]).key == "small"


def test_a_failure_reaches_every_trial_that_needs_the_stage_and_no_other() -> None:
    broker = StageBroker([{"CPU": 4}])
    broker.decide(0, [request("bad")])
    broker.fail("bad", "ValueError: no")
    decision = broker.decide(1, [request("bad"), request("next", "bad")])
    assert (decision.action, decision.message) == ("failed", "ValueError: no")
    assert broker.decide(2, [request("good")]).action == "run"


def test_what_a_dead_trial_was_computing_is_given_to_another() -> None:
    broker = StageBroker([{"CPU": 1}])
    assert broker.decide(0, [request("train")]).action == "run"
    broker.abandon(0)
    assert broker.decide(1, [request("train")]).action == "run"


def test_a_group_gets_what_is_free_between_its_least_and_its_most() -> None:
    broker = StageBroker([{"CPU": 8}])
    assert broker.decide(0, [request("small", cpus=3)]).units == 1
    assert broker.decide(1, [request("group", cpus=2, units=(1, 4))]).units == 2
    assert broker.decide(2, [request("other", units=(2, 4))]).action == "wait", "1 is free, its least is 2"
    broker.finish("small")
    assert broker.decide(2, [request("other", units=(2, 3))]).units == 3


def test_a_group_that_starts_over_gets_what_there_is_by_then() -> None:
    broker = StageBroker([{"CPU": 2}])
    assert broker.decide(0, [request("group", units=(1, 2))]).units == 2
    broker.capacity = [{"CPU": 1}]
    assert broker.decide_again("group") == 1
    assert broker.shortages() == {}
    broker.capacity = [{"CPU": 0}]
    assert broker.decide_again("group") == 0
    assert broker.shortages() == {"group": "stage group needs at least 1 CPU (the cluster has 0)"}
    assert broker.wanted() == [{"CPU": 1}]
    broker.capacity = [{"CPU": 3}]
    assert broker.decide(1, [request("group", units=(1, 2))]).action == "wait", "it is still the first trial's"
    assert broker.decide(1, [request("other", cpus=2)]).action == "run", "who waits holds nothing"
    assert broker.decide_again("group") == 1
    broker.finish("other")
    assert broker.decide_again("group") == 2


def test_a_stage_that_no_longer_fits_is_named_and_one_that_waits_for_others_is_not() -> None:
    broker = StageBroker([{"CPU": 2, "GPU": 1}])
    broker.decide(0, [request("a", cpus=2)])
    assert broker.decide(1, [request("b", cpus=2)]).action == "wait"
    assert broker.shortages() == {}
    broker.capacity = [{"CPU": 1}]
    assert broker.shortages() == {"b": "stage b needs 2 CPU (the cluster has 1)"}
    broker.is_paused = True
    assert (broker.shortages(), broker.wanted()) == ({}, [])


def test_the_cluster_should_grow_for_one_more_of_those_that_wait() -> None:
    broker = StageBroker([{"CPU": 2}])
    assert broker.decide(0, [request("a", units=(2, 4))]).units == 2
    assert broker.wanted() == [], "it runs, with less than it could use"
    assert broker.decide(1, [request("b", cpus=3, units=(2, 4))]).action == "wait"
    assert broker.decide(2, [request("c")]).action == "wait"
    assert broker.decide(3, [request("after a", "a")]).action == "wait"
    assert broker.wanted() == [{"CPU": 1}, {"CPU": 1}, {"CPU": 3}, {"CPU": 3}], "what runs, and the least of b"
    broker.capacity = [{"CPU": 8}]
    assert broker.decide(1, [request("b", cpus=3, units=(2, 4))]).units == 2
    broker.capacity = [{"CPU": 9}]
    assert broker.decide(2, [request("c")]).units == 1
    assert broker.wanted() == []
    assert broker.decide(4, [request("d", cpus=4)]).action == "wait"
    assert broker.wanted()
    broker.abandon(4)
    assert broker.wanted() == [], "nobody waits any more"


def test_budgets_of_one_lineage_are_computed_one_after_the_other() -> None:
    """The larger goes on from what the smaller leaves: side by side both would do the same work."""
    broker = StageBroker([{"CPU": 4}])
    assert broker.decide(0, [request("100 steps", lineage="training")]).action == "run"
    assert broker.decide(1, [request("200 steps", lineage="training")]).action == "wait"
    broker.finish("100 steps")
    assert broker.decide(1, [request("200 steps", lineage="training")]).action == "run"


def test_a_stage_larger_than_the_cluster_is_named() -> None:
    message = too_large("train", Need({"CPU": 1.0, "GPU": 1.0}, 8, 8), [{"CPU": 16.0}])
    assert message == "stage train needs 8 GPU (the cluster has 0)"
    elastic = too_large("train", Need({"CPU": 2.0}, 2, 4), [{"CPU": 3.0}])
    assert elastic == "stage train needs at least 4 CPU (the cluster has 3)"
    assert too_large("train", Need({"CPU": 2.0}, 1, 4), [{"CPU": 3.0}]) is None
    growing = too_large("train", Need({"GPU": 1.0}, 64, 64), [{"GPU": 32}], "grows to")
    assert growing == "stage train needs 64 GPU (the cluster grows to 32)"


def test_a_pass_is_granted_and_ends_as_one() -> None:
    broker = StageBroker([{"CPU": 4}])
    both = replace(request("inception", "train"), beside={"classifier": "classifier"})
    assert broker.decide(0, [both]).action == "wait", "its input is not there"
    broker.finish("train")
    decision = broker.decide(0, [both])
    assert (decision.key, decision.beside, decision.units) == ("inception", ("classifier",), 1)
    assert broker.decide(1, [request("classifier")]).action == "wait", "it is being computed"
    assert broker.decide(1, [request("classifier"), request("other", cpus=3)]).action == "run", "a pass holds one grant"
    assert broker.finish("inception") == ["inception", "classifier"]
    assert broker.decide(1, [request("classifier")]).action == "done"


def test_of_a_pass_only_what_is_left_is_computed() -> None:
    broker = StageBroker([{"CPU": 4}])
    assert broker.decide(0, [request("inception")]).action == "run"
    both = replace(request("inception"), beside={"classifier": "classifier"})
    assert broker.decide(1, [both]).action == "wait"
    broker.finish("inception")
    decision = broker.decide(1, [both])
    assert (decision.key, decision.beside) == ("classifier", ())


def test_what_broke_in_a_pass_fails_and_what_was_computed_beside_it_is_free() -> None:
    broker = StageBroker([{"CPU": 4}])
    both = replace(request("inception"), beside={"classifier": "classifier"})
    broker.decide(0, [both])
    assert broker.fail("inception", "NaN", blamed="classifier") == ["classifier"]
    assert broker.decide(0, [both]).action == "failed"
    assert broker.decide(1, [request("inception")]).action == "run"
    broker.finish("inception")
    broker.decide(2, [replace(request("a"), beside={"b": "b"})])
    assert broker.fail("a", "its process died") == ["a", "b"]


def test_any_order_of_questions_ends_with_everything_done() -> None:
    """More trials than resources never deadlock: whoever waits holds nothing."""
    for seed in range(50):
        rng = random.Random(seed)
        broker = StageBroker([{"CPU": 2}])
        trials = {
            t: [request("shared", cpus=2), request(f"own{t % 3}", "shared"), request(f"leaf{t}", f"own{t % 3}", cpus=2)]
            for t in range(8)
        }
        running: list[str] = []
        computed: list[str] = []
        waiting = set(trials)
        while waiting:
            trial = rng.choice(sorted(waiting))
            decision = broker.decide(trial, trials[trial])
            if decision.action == "done":
                waiting.discard(trial)
            elif decision.action == "run":
                running.append(decision.key)
            elif running:
                key = running.pop(rng.randrange(len(running)))
                broker.finish(key)
                computed.append(key)
        assert sorted(computed) == sorted({r.key for needs in trials.values() for r in needs})
