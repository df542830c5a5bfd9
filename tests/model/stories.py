"""What is known to go wrong elsewhere, each in a few steps; chance alone would seldom tell these stories.

Each begins with a token in Redis. What is left undone at its end comes to rest after it.
"""

from __future__ import annotations

from collections.abc import Callable

from model.world import World
from tokenworker.refresh.causes import Demand

Story = Callable[[World], None]

EARLY, FORCE = Demand(early=True), Demand(force=True)
#: Longer than a lease; than the overlap; until a token is stale.
LEASE, OVERLAP, LIFE = 16, 301, 7000
#: So long that WeChat can't act on a fetch any more that was begun before.
HOUR = 3600


def two_find_the_same_token_stale(world: World) -> None:
    world.pass_time(LIFE)
    world.refresh(0, stop_at="take_lease")
    world.refresh(1)
    world.go_on(0)


def two_are_at_it_at_the_same_moment(world: World) -> None:
    world.pass_time(LIFE)
    world.refresh(0, stop_at="take_lease")
    world.refresh(1, stop_at="send")
    world.go_on(0)
    world.go_on(1)


def answered_slowly(world: World) -> None:
    world.refresh(0, FORCE, "answer")
    world.pass_time(5)
    world.go_on(0)


def answered_after_somebody_else(world: World) -> None:
    world.refresh(0, FORCE, "commit")
    world.pass_time(LEASE)
    world.refresh(1)
    world.go_on(0)


def frozen_before_sending(world: World) -> None:
    world.refresh(0, FORCE, "send")
    world.pass_time(HOUR)
    world.refresh(1)
    world.go_on(0)


def frozen_before_sending_and_overtaken_twice(world: World) -> None:
    world.refresh(0, FORCE, "send")
    world.pass_time(HOUR)
    world.refresh(1, stop_at="answer")
    world.go_on(0)
    world.go_on(1)


def failed_while_somebody_else_is_at_it(world: World) -> None:
    world.upstream.faults.append("busy")
    world.refresh(0, FORCE, "fail")
    world.pass_time(LEASE)
    world.refresh(1, stop_at="send")
    world.go_on(0)
    world.go_on(1)


def tested_while_somebody_else_is_at_it(world: World) -> None:
    world.report(world.read())
    world.refresh(0, stop_at="release")
    world.pass_time(LEASE)
    world.refresh(1, stop_at="send")
    world.go_on(0)
    world.go_on(1)


def killed_before_the_answer(world: World) -> None:
    world.refresh(0, FORCE, "answer")
    world.die(0)


def answer_lost(world: World) -> None:
    world.upstream.faults.append("lost")
    world.refresh(0, FORCE)


def acted_upon_late(world: World) -> None:
    world.upstream.faults.append("late")
    world.refresh(0, FORCE)
    world.pass_time(5)
    world.refresh(1)
    world.act_late()


def refused_by_wechat(world: World) -> None:
    world.upstream.faults.append("whitelist")
    world.refresh(0, FORCE)


def clock_set_back_under_a_lease(world: World) -> None:
    world.refresh(0, FORCE, "send")
    world.step_clock(-20_000)
    world.die(0)


def clock_set_back(world: World) -> None:
    world.step_clock(-4000)


def reported_wrongly_again_and_again(world: World) -> None:
    for _ in range(3):
        world.report(world.read())
        world.refresh(0)


def reported_while_the_same_token_is_fetched(world: World) -> None:
    world.pass_time(OVERLAP)
    world.strangers.revoke_and_hand_out()
    world.refresh(0, EARLY, "answer")
    world.report(world.read())
    world.go_on(0)


def reported_when_dead(world: World) -> None:
    world.strangers.revoke()
    world.report(world.read())
    world.refresh(0)
    world.read()


def replaced_and_read_again(world: World) -> None:
    world.read()
    world.refresh(0, FORCE)
    world.pass_time(OVERLAP)
    world.read()


def answers_lost_in_a_row(world: World) -> None:
    for _ in range(4):
        world.upstream.faults.append("lost")
        world.refresh(0, EARLY)
        world.pass_time(2)
    for _ in range(9):
        world.tick()
        world.refresh(0)
        world.read()
        world.pass_time(LEASE)


def answer_lost_and_the_test_too(world: World) -> None:
    world.upstream.faults += ["lost", "cut off", "cut off"]
    world.refresh(0, FORCE)
    for _ in range(9):
        world.refresh(0)
        world.read()
        world.pass_time(LEASE)


def answer_lost_when_the_token_was_dead(world: World) -> None:
    world.upstream.faults.append("cut off")
    world.refresh(0, FORCE)
    world.strangers.revoke()
    world.pass_time(2)
    world.read()
    world.refresh(0)
    world.read()


def found_dead_while_nothing_can_be_fetched(world: World) -> None:
    world.read()
    world.strangers.revoke()
    world.report(world.read())
    world.refresh(0, stop_at="begin")
    world.upstream.faults += ["busy", "busy"]
    world.check()
    world.go_on(0)
    world.read()


def redis_goes_back(world: World) -> None:
    world.pass_time(OVERLAP)
    world.save()
    world.refresh(0, FORCE)
    world.read()
    world.pass_time(OVERLAP)
    world.restore()
    world.read()


def redis_goes_back_under_a_fetch(world: World) -> None:
    world.save()
    world.refresh(0, FORCE, "answer")
    world.restore()
    world.go_on(0)


def redis_goes_back_and_a_fencing_number_comes_again(world: World) -> None:
    world.save()
    world.refresh(0, FORCE, "commit")
    world.restore()
    world.tick()
    world.refresh(1, FORCE)
    world.go_on(0)
    world.check()


def redis_goes_back_within_the_overlap(world: World) -> None:
    world.pass_time(OVERLAP)
    world.save()
    world.refresh(0, FORCE)
    world.pass_time(5)
    world.restore()
    world.tick()
    world.refresh(1)


def taken_out_under_a_fetch(world: World) -> None:
    world.refresh(0, FORCE, "answer")
    world.remove()
    world.go_on(0)
    world.check()


def taken_out_before_a_fetch(world: World) -> None:
    world.refresh(0, FORCE, "take_lease")
    world.remove()
    world.go_on(0)
    world.check()


def taken_out_and_put_back_under_a_fetch(world: World) -> None:
    world.refresh(0, FORCE, "send")
    world.remove()
    world.add()
    world.refresh(1)
    world.go_on(0)


def others_write_under_our_keys(world: World) -> None:
    limits = ("{limiter}:running", "{limiter}:waiting", "{limiter}:rate")
    for name in ("state", "lease", "access_token", "copies", "due", *limits, "suspected"):
        world.scramble(name)
        world.refresh(0, FORCE)
        world.tick()


def lease_over_before_the_commit(world: World) -> None:
    world.refresh(0, FORCE, "commit")
    world.pass_time(LEASE)
    world.go_on(0)


def clock_set_back_right_after_a_fetch(world: World) -> None:
    world.refresh(0, FORCE)
    world.step_clock(-20_000)


# Replies that get lost


def reply_to_a_lease_lost(world: World) -> None:
    world.lose_reply(0, "take_lease")
    world.refresh(0, FORCE)


def reply_to_a_beginning_lost(world: World) -> None:
    world.lose_reply(0, "begin")
    world.refresh(0, FORCE)
    world.check()


def reply_to_a_commit_lost(world: World) -> None:
    world.lose_reply(0, "commit")
    world.refresh(0, FORCE)


def reply_to_a_commit_lost_and_somebody_comes_between(world: World) -> None:
    world.lose_reply(0, "commit")
    world.refresh(0, FORCE, "again")
    world.pass_time(OVERLAP)
    world.refresh(1, FORCE)
    world.go_on(0)


# Failovers


def nothing_lost(world: World) -> None:
    world.pass_time(OVERLAP)
    world.refresh(0, FORCE)
    world.fail_over()


def replica_lags_when_the_token_is_stale(world: World) -> None:
    world.stall()
    world.pass_time(LIFE)
    world.refresh(0)
    world.fail_over()
    world.tick()
    world.refresh(1)


def replica_lags_and_somebody_wants_a_fetch(world: World) -> None:
    world.pass_time(OVERLAP)
    world.stall()
    world.refresh(0, FORCE)
    world.fail_over()


def replica_lags_until_nothing_is_left(world: World) -> None:
    world.stall()
    world.pass_time(LIFE)
    world.refresh(0)
    world.pass_time(100)
    world.refresh(0)
    world.read()
    world.flow()


def commit_lost_with_its_holder(world: World) -> None:
    world.pass_time(OVERLAP)
    world.refresh(0, FORCE, "commit")
    world.stall()
    world.go_on(0)
    world.die(0)
    world.fail_over()


def commit_lost_but_not_its_holder(world: World) -> None:
    world.pass_time(OVERLAP)
    world.refresh(0, FORCE, "commit")
    world.stall()
    world.go_on(0)
    world.fail_over()
    world.commit_again(0)
    world.check()


def lease_lost_under_a_fetch(world: World) -> None:
    _fetch_what_cannot_wait(world)
    world.fail_over()
    world.go_on(0)
    world.check()


def lease_lost_and_taken_by_another(world: World) -> None:
    _fetch_what_cannot_wait(world)
    world.fail_over()
    world.tick()
    world.refresh(1, FORCE, "answer")
    world.go_on(0)
    world.go_on(1)
    world.check()


def lease_lost_and_another_fetched(world: World) -> None:
    _fetch_what_cannot_wait(world)
    world.fail_over()
    world.tick()
    world.refresh(1, FORCE)
    world.go_on(0)
    world.check()


def _fetch_what_cannot_wait(world: World) -> None:
    """Have a token found dead; the fetch of another one is known to no replica, and has yet to be committed."""
    world.strangers.revoke()
    world.report(world.read())
    world.refresh(0, stop_at="withhold")
    world.go_on(0, "take_lease")
    world.stall()
    world.go_on(0, "commit")


def cut_off_when_the_token_is_stale(world: World) -> None:
    world.pass_time(LIFE)
    world.fail_over(cut_off=0)
    world.tick()
    world.refresh(1)
    world.refresh(0)
    world.come_back(0)


def cut_off_under_a_fetch(world: World) -> None:
    world.pass_time(OVERLAP)
    world.refresh(0, FORCE, "send")
    world.fail_over(cut_off=0)
    world.tick()
    world.refresh(1)
    world.go_on(0)
    world.come_back(0)
    world.commit_again(0)
    world.check()


def cut_off_and_last_to_fetch_what_cannot_wait(world: World) -> None:
    world.strangers.revoke()
    world.report(world.read())
    world.fail_over(cut_off=0)
    world.tick()
    world.refresh(1)
    world.refresh(0)
    world.come_back(0)
    world.commit_again(0)
    world.check()


def no_master_for_a_commit(world: World) -> None:
    world.pass_time(OVERLAP)
    world.refresh(0, FORCE, "commit")
    world.leave(0)
    world.go_on(0)
    world.fail_over()
    world.tick()
    world.refresh(1)
    world.come_back(0)
    world.commit_again(0)
    world.check()


def commit_repeated_after_the_next_holder_died(world: World) -> None:
    world.refresh(0, FORCE, "commit")
    world.stall()
    world.go_on(0)
    world.flow()
    world.pass_time(61)
    world.refresh(1, FORCE, "answer")
    world.die(1)
    world.commit_again(0)


def dead_token_comes_back(world: World) -> None:
    world.stall()
    world.strangers.revoke()
    world.report(world.read())
    world.refresh(0)
    world.commit_again(0)
    world.die(0)
    world.fail_over()


def replaced_token_comes_back(world: World) -> None:
    world.pass_time(OVERLAP)
    world.stall()
    world.strangers.overwrite()
    world.refresh(0)
    world.die(0)
    world.fail_over()


def answered_after_a_fetch_that_was_lost(world: World) -> None:
    world.pass_time(OVERLAP)
    world.refresh(0, FORCE, "answer")
    world.pass_time(LEASE)
    world.stall()
    world.lose_token()
    world.refresh(1)
    world.die(1)
    world.fail_over()
    world.tick()
    world.go_on(0)


def lease_number_comes_again_in_a_failover(world: World) -> None:
    world.stall()
    world.lose_token()
    world.refresh(0)
    world.commit_again(0)
    world.lose_token()
    world.refresh(0, stop_at="commit")
    world.fail_over()
    world.tick()
    world.pass_time(OVERLAP)
    world.refresh(1, FORCE)
    world.go_on(0)
    world.check()


#: What may happen wherever Redis has replicas, whether or not leases wait for them.
FAILOVERS: dict[str, Story] = {
    story.__name__: story
    for story in (
        nothing_lost,
        replica_lags_when_the_token_is_stale,
        replica_lags_and_somebody_wants_a_fetch,
        replica_lags_until_nothing_is_left,
        commit_lost_with_its_holder,
        commit_lost_but_not_its_holder,
        lease_lost_under_a_fetch,
        lease_lost_and_taken_by_another,
        lease_lost_and_another_fetched,
        cut_off_when_the_token_is_stale,
        cut_off_under_a_fetch,
        cut_off_and_last_to_fetch_what_cannot_wait,
        no_master_for_a_commit,
        answered_after_a_fetch_that_was_lost,
        lease_number_comes_again_in_a_failover,
        commit_repeated_after_the_next_holder_died,
        dead_token_comes_back,
        replaced_token_comes_back,
    )
}

STORIES: dict[str, Story] = {
    story.__name__: story
    for story in (
        clock_set_back_right_after_a_fetch,
        reply_to_a_lease_lost,
        reply_to_a_beginning_lost,
        reply_to_a_commit_lost,
        reply_to_a_commit_lost_and_somebody_comes_between,
        two_find_the_same_token_stale,
        two_are_at_it_at_the_same_moment,
        answered_slowly,
        answered_after_somebody_else,
        frozen_before_sending,
        frozen_before_sending_and_overtaken_twice,
        failed_while_somebody_else_is_at_it,
        tested_while_somebody_else_is_at_it,
        killed_before_the_answer,
        answer_lost,
        acted_upon_late,
        refused_by_wechat,
        clock_set_back_under_a_lease,
        clock_set_back,
        reported_wrongly_again_and_again,
        reported_while_the_same_token_is_fetched,
        reported_when_dead,
        replaced_and_read_again,
        answers_lost_in_a_row,
        answer_lost_and_the_test_too,
        answer_lost_when_the_token_was_dead,
        found_dead_while_nothing_can_be_fetched,
        redis_goes_back,
        redis_goes_back_under_a_fetch,
        redis_goes_back_within_the_overlap,
        redis_goes_back_and_a_fencing_number_comes_again,
        taken_out_under_a_fetch,
        taken_out_before_a_fetch,
        taken_out_and_put_back_under_a_fetch,
        others_write_under_our_keys,
        lease_over_before_the_commit,
    )
}
