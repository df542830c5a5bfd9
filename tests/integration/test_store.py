"""The keys in Redis, and the steps that change them together."""

from __future__ import annotations

import time
from dataclasses import replace
from traceback import format_exception

import pytest
import redis
from support.processes import RedisServer
from support.targets import lease_of, look

from tokenworker.credential import Credential, CredentialId, fingerprint
from tokenworker.errors import StoreUnavailable
from tokenworker.publish.formats import Copy
from tokenworker.store.connect import connect
from tokenworker.store.keys import Keys
from tokenworker.store.limiter import Room
from tokenworker.store.state import Lease
from tokenworker.store.store import Store

WX1, WX2 = CredentialId("wx1"), CredentialId("wx2")
TICKET = CredentialId("wx1", "jsapi_ticket")
TOKEN = "tokenworker:{wx1}:access_token"
STATE, LEASE = f"{TOKEN}:state", f"{TOKEN}:lease"
#: As it stands in the schedule and among the calls under way.
MEMBER = "wx1:access_token"


def leased(store: Store, seconds: float = 5, id_: CredentialId = WX1) -> Lease:
    taken = store.records.lease(id_, seconds)
    assert taken
    return taken[0]


def commit(store: Store, text: str = "token", life: float = 60, lease: Lease | None = None) -> str:
    lease = lease or leased(store)
    token = Credential(text, lease.taken_at + life)
    copy = Copy("YG-WECHAT-TOKEN", "YG-WECHAT-TOKEN", text)
    refresh_at = lease.taken_at + life / 2
    return store.records.commit(lease, token, refresh_at=refresh_at, copies=[copy], settings_tried="r")[0]


def test_a_commit_writes_the_public_keys(store: Store, client: redis.Redis) -> None:
    lease = leased(store)

    assert commit(store, lease=lease) == "committed"

    assert client.get(TOKEN) == b"token"
    assert 59_000 < int(client.pttl(TOKEN)) <= 60_000
    assert client.get("YG-WECHAT-TOKEN") == b"token"
    assert 59_000 < int(client.pttl("YG-WECHAT-TOKEN")) <= 60_000
    state = client.hgetall(STATE)
    assert state[b"fingerprint"] == fingerprint("token").encode()
    assert float(state[b"fetched_at"]) == pytest.approx(lease.taken_at, abs=0.01)
    assert float(state[b"refresh_at"]) == pytest.approx(lease.taken_at + 30, abs=0.01)
    assert state[b"fencing"] == state[b"resolved"] == b"1"
    assert b"token" not in state.values()
    assert not client.exists(LEASE)
    assert client.zscore("tokenworker:due", MEMBER) == pytest.approx(lease.taken_at + 30, abs=0.01)


def test_the_life_of_a_token_counts_from_before_the_request(store: Store, client: redis.Redis) -> None:
    lease = leased(store)
    time.sleep(0.3)
    commit(store, life=1, lease=lease)

    assert int(client.pttl(TOKEN)) <= 700


def test_only_one_process_gets_the_lease(store: Store) -> None:
    first = lease_of(store)

    assert first
    assert lease_of(store) is None
    assert lease_of(store, "wx2")


def test_a_lease_ends_by_itself_and_the_next_has_a_higher_number(store: Store) -> None:
    first = leased(store, 0.05)
    time.sleep(0.08)
    second = leased(store)

    assert second.fencing > first.fencing
    assert second.owner != first.owner


def test_a_credential_is_looked_at_when_the_lease_of_a_fetch_ends_for_its_holder_may_be_dead(store: Store) -> None:
    store.schedule.set(WX1, 9e9)
    assert begin(store, leased(store, 0.5)) == "ok"
    assert store.schedule.claim(10, 60) == []
    time.sleep(0.55)

    assert store.schedule.claim(10, 60) == [WX1]


def test_whatever_ends_a_lease_ends_its_call_too(store: Store, client: redis.Redis) -> None:
    def at_wechat() -> Lease:
        lease = leased(store)
        assert store.limiter.acquire(WX1, rate=1e6, concurrency=1, seconds=60).wait == 0
        return lease

    for end in (
        store.records.release,
        lambda lease: store.records.fail(lease, retry_at=0),
        lambda lease: store.records.withhold(lease, Credential("x", 0)),
        lambda lease: commit(store, lease=lease),
    ):
        end(at_wechat())
        assert not client.exists("tokenworker:{limiter}:running")


def test_credentials_of_one_account_have_leases_states_and_times_of_their_own(
    store: Store, client: redis.Redis
) -> None:
    assert commit(store) == "committed"
    ticket = leased(store, id_=TICKET)
    assert lease_of(store)
    store.records.fail(ticket, retry_at=9e9, failures=1, error="no")

    assert look(store).error == ""
    assert store.records.look(TICKET).error == "no"
    assert store.bulk.missing([WX1, TICKET]) == [TICKET]
    assert client.zscore("tokenworker:due", "wx1:jsapi_ticket") == 9e9
    store.records.clear(TICKET)
    assert client.get(TOKEN) == b"token"
    assert store.schedule.ids() == [WX1]


def test_a_fetch_is_known_to_stray_only_while_its_end_is_not_known(store: Store) -> None:
    lease = leased(store)
    store.records.begin(lease, forced=False, budget=10, forced_budget=2, stray=60)
    assert look(store).in_doubt_until == pytest.approx(store.now() + 60, abs=1)
    store.records.release(lease, in_doubt_until=0)

    assert not look(store).in_doubt_until


def test_a_lease_longer_than_any_we_set_is_the_work_of_a_clock_and_does_not_count(
    store: Store, client: redis.Redis
) -> None:
    client.set(LEASE, "somebody", px=86_400_000)

    assert lease_of(store)


def test_a_lease_counts_though_a_clock_that_ran_ahead_set_it(store: Store, client: redis.Redis) -> None:
    client.set(LEASE, "somebody", px=5_500)

    assert lease_of(store) is None


def test_a_commit_without_the_lease_is_refused_and_leaves_a_mark(store: Store, client: redis.Redis) -> None:
    late = leased(store, 0.05)
    time.sleep(0.08)
    commit(store, "newer")

    assert commit(store, "older", lease=late) == "refused"
    assert client.get(TOKEN) == b"newer"
    assert client.get("YG-WECHAT-TOKEN") == b"newer"
    assert look(store).in_doubt == 2
    assert client.zscore("tokenworker:due", MEMBER) == 0


def test_a_commit_that_overlapped_a_refused_one_does_not_clear_its_mark(store: Store) -> None:
    frozen = leased(store, 0.05)
    time.sleep(0.08)
    second = leased(store)

    assert commit(store, "a", lease=frozen) == "refused"
    assert commit(store, "b", lease=second) == "in_doubt"
    assert look(store).in_doubt == 2
    assert commit(store, "c") == "committed"
    assert look(store).in_doubt is None


def test_a_failure_keeps_the_token_and_says_what_happened(store: Store, client: redis.Redis) -> None:
    commit(store)
    lease = leased(store)
    store.records.fail(lease, retry_at=9e9, failures=1, error="no", errcode=40164, hint="do")
    snapshot = look(store)

    assert client.get(TOKEN) == b"token"
    assert (snapshot.failures, snapshot.error, snapshot.errcode, snapshot.hint) == (1, "no", 40164, "do")
    assert snapshot.retry_at == 9e9
    assert snapshot.resolved == snapshot.fencing == 2
    assert snapshot.lease_left is None
    commit(store, "next")
    assert (look(store).failures, look(store).error, look(store).errcode) == (0, "", None)


def test_a_lost_answer_leaves_the_token_and_a_mark(store: Store, client: redis.Redis) -> None:
    commit(store, life=60)
    store.records.fail(leased(store), retry_at=0, lost=True, error="lost")

    assert int(client.pttl(TOKEN)) > 59_000
    assert look(store).in_doubt == 2


def test_a_commit_of_which_nobody_knows_whether_it_was_done_may_be_repeated(store: Store) -> None:
    lease = leased(store)

    assert [commit(store, lease=lease) for _ in range(2)] == ["committed", "committed"]
    assert look(store).in_doubt is None


def test_a_repeated_commit_answers_what_the_first_one_did(store: Store) -> None:
    """Whoever heard that all is well would not look again before the next refresh."""
    old = leased(store, seconds=0.05)
    time.sleep(0.1)
    lease = leased(store)
    store.records.fail(old, retry_at=0, lost=True, error="lost")
    assert [commit(store, "new", lease=lease) for _ in range(2)] == ["in_doubt", "in_doubt"]

    commit(store, "reported")
    store.records.reject(WX1, fingerprint("reported"))
    lease = leased(store)
    assert [commit(store, "reported", lease=lease) for _ in range(2)] == ["reported", "reported"]


def test_a_commit_after_the_end_of_the_lease_is_good_while_nobody_else_took_one(
    store: Store, client: redis.Redis
) -> None:
    late, later = leased(store, 0.02), None
    time.sleep(0.04)
    assert commit(store, lease=late) == "committed"

    late = leased(store, 0.02)
    time.sleep(0.04)
    later = leased(store)
    assert commit(store, "late", lease=late) == "refused"
    assert commit(store, "later", lease=later) == "in_doubt"
    assert client.get(TOKEN) == b"later"
    assert look(store).in_doubt_since == pytest.approx(time.time(), abs=2)


def test_a_token_found_dead_goes_with_its_copies(store: Store, client: redis.Redis) -> None:
    commit(store)
    store.records.withhold(leased(store), Credential("token", 0), probed="x")

    assert client.get(TOKEN) is client.get("YG-WECHAT-TOKEN") is None
    assert look(store).probed_dead == fingerprint("token")
    assert client.zscore("tokenworker:due", MEMBER) == 0


def test_a_token_that_took_the_place_of_a_dead_one_stays(store: Store, client: redis.Redis) -> None:
    commit(store)
    late = leased(store, 0.02)
    time.sleep(0.04)
    commit(store, "another")
    store.records.withhold(late, Credential("token", 0))

    assert client.get(TOKEN) == client.get("YG-WECHAT-TOKEN") == b"another"
    assert look(store).probed_dead == ""


@pytest.mark.parametrize("kind", ["string", "list", "hash"])
@pytest.mark.parametrize("number", range(len([*Keys().of(WX1), *Keys().shared()])))
def test_a_key_of_a_wrong_type_stops_nobody(store: Store, client: redis.Redis, number: int, kind: str) -> None:
    key = [*store.keys.of(WX1), *store.keys.shared()][number]
    commit(store)
    client.delete(key)
    commands = {"string": ("SET", key, "x"), "list": ("LPUSH", key, "x"), "hash": ("HSET", key, "fencing", "x")}
    client.execute_command(*commands[kind])  # type: ignore[no-untyped-call]

    def live() -> str:
        store.schedule.add([WX1, WX2])
        store.notes.rename({"wx1": "one", "wx2": ""})
        store.notes.mark("in_doubt", 60)
        store.notes.mark("restored", 60)
        store.notes.pulse("host:1")
        store.bulk.doubt([WX1])
        store.notes.set_ticked()
        store.notes.set_accounts_error("fault", 60)
        store.schedule.claim(10, 1)
        lease = leased(store)
        assert store.limiter.acquire(WX1, rate=100, concurrency=8, seconds=5).wait == 0
        assert begin(store, lease, 100, 20) == "ok"
        return commit(store, lease=lease)

    if "lease" in key and kind == "string":
        client.pexpire(key, 5)
        time.sleep(0.01)
    assert live() in ("committed", "in_doubt")
    assert live() == "committed"
    assert client.get(TOKEN) == client.get("YG-WECHAT-TOKEN") == b"token"
    assert store.notes.names()["wx1"] == "one"
    assert store.notes.accounts_error() == "fault"
    assert len(store.schedule) == 2


def test_a_failure_without_the_lease_changes_nothing(store: Store) -> None:
    late = leased(store, 0.05)
    time.sleep(0.08)
    commit(store)
    store.records.fail(late, retry_at=9e9, failures=1, error="no")

    assert look(store).error == ""


def begin(store: Store, lease: Lease, budget: int = 10, forced_budget: int = 2, *, forced: bool = False) -> str:
    return store.records.begin(lease, forced=forced, budget=budget, forced_budget=forced_budget)


def begin_anew(store: Store, budget: int = 10, forced_budget: int = 2, *, forced: bool = False) -> str:
    """Begin under a lease of its own, as each fetch does, and end that."""
    lease = leased(store)
    answer = begin(store, lease, budget, forced_budget, forced=forced)
    store.records.release(lease)
    return answer


def test_the_ledger_counts_what_begins_and_ends_with_the_budget(store: Store) -> None:
    assert [begin_anew(store, 3) for _ in range(5)] == ["ok"] * 3 + ["no fetches left"] * 2
    assert look(store).fetches_today == 3


def test_a_fetch_counts_once_though_nobody_knows_whether_its_beginning_was_noted(store: Store) -> None:
    lease = leased(store)

    assert [begin(store, lease, 1, 1, forced=True) for _ in range(2)] == ["ok", "ok"]
    assert (look(store).fetches_today, look(store).forced_today) == (1, 1)


def test_forced_refreshes_have_a_budget_of_their_own(store: Store) -> None:
    assert [begin_anew(store, forced=True) for _ in range(3)] == ["ok", "ok", "no forced refreshes left"]
    assert begin_anew(store) == "ok"
    snapshot = look(store)
    assert (snapshot.fetches_today, snapshot.forced_today) == (3, 2)
    assert snapshot.forced_at == pytest.approx(snapshot.now, abs=1)


def test_the_ledger_begins_anew_each_day(store: Store, client: redis.Redis) -> None:
    assert [begin_anew(store, 1) for _ in range(2)] == ["ok", "no fetches left"]
    client.hset(STATE, "day", "19000")

    assert begin_anew(store, 1) == "ok"
    assert look(store).fetches_today == 1


def test_the_ledger_of_an_hour_begins_anew_each_hour(store: Store, client: redis.Redis) -> None:
    def hourly() -> str:
        lease = leased(store)
        answer = store.records.begin(lease, forced=False, budget=1, forced_budget=0, period=3600)
        store.records.release(lease)
        return answer

    assert [hourly() for _ in range(2)] == ["ok", "no fetches left"]
    (hour,) = client.hmget(STATE, "day")
    assert int(hour or 0) == pytest.approx(time.time() / 3600 + 8, abs=1.01)
    client.hset(STATE, "day", int(hour or 0) - 1)

    assert hourly() == "ok"
    assert look(store).fetches_today == 1


def test_nothing_begins_without_the_lease(store: Store) -> None:
    late = leased(store, 0.05)
    time.sleep(0.08)
    assert begin(store, late) == "lost"
    leased(store)

    assert begin(store, late) == "lost"
    assert look(store).fetches_today == 0


def test_a_settled_lease_is_over(store: Store) -> None:
    store.records.release(leased(store), rejected="")
    snapshot = look(store)

    assert snapshot.lease_left is None
    assert snapshot.resolved == snapshot.fencing == 1


def leave(store: Store, id_: CredentialId = WX1) -> None:
    """End a call, as the ends of leases do."""
    store._scripts.together(store.limiter.releasing(id_))


def test_only_so_many_calls_are_under_way_at_once(store: Store) -> None:
    waits = [store.limiter.acquire(CredentialId(f"wx{n}"), rate=1e6, concurrency=3, seconds=60).wait for n in range(4)]

    assert waits[:3] == [0, 0, 0]
    assert waits[3] > 0
    leave(store, CredentialId("wx0"))
    assert store.limiter.acquire(CredentialId("wx3"), rate=1e6, concurrency=3, seconds=60).wait == 0


def test_a_call_that_never_ended_counts_no_longer_than_a_lease(store: Store) -> None:
    assert store.limiter.acquire(CredentialId("wx0"), rate=1e6, concurrency=1, seconds=0.1).wait == 0
    time.sleep(0.12)

    assert store.limiter.acquire(WX1, rate=1e6, concurrency=1, seconds=0.1).wait == 0


def test_a_call_counts_though_a_clock_that_ran_ahead_admitted_it(store: Store, client: redis.Redis) -> None:
    ends = (store.now() + 5.5) * 1000
    client.zadd("tokenworker:{limiter}:running", {MEMBER: ends})
    assert store.limiter.acquire(WX2, rate=100, concurrency=1, seconds=5).wait > 0

    client.zadd("tokenworker:{limiter}:running", {MEMBER: ends + 1000})
    assert store.limiter.acquire(WX2, rate=100, concurrency=1, seconds=5, has_turn=True).wait == 0


def test_calls_begin_at_a_limited_rate_after_a_burst(store: Store) -> None:
    began = asked_at = time.monotonic()
    admitted, asking = 0, 0.0
    while (spent := time.monotonic() - began) < 0.5:
        # While a busy machine lets us not ask, turns pass by.
        asking += min(0.02, time.monotonic() - asked_at)
        asked_at = time.monotonic()
        if store.limiter.acquire(WX1, rate=50, concurrency=5, seconds=1).wait == 0:
            admitted += 1
            leave(store)
        time.sleep(0.002)

    assert 5 + 50 * asking * 0.6 <= admitted <= 6 + 50 * spent


def test_each_gets_a_turn_of_its_own_which_nobody_else_takes(store: Store) -> None:
    one, *rooms = [acquire_turn(store, number) for number in range(5)]

    assert one.wait == 0
    assert [room.has_turn for room in rooms] == [True] * 4
    assert [room.wait for room in rooms] == pytest.approx([0.1, 0.2, 0.3, 0.4], abs=0.05)


def acquire_turn(store: Store, number: int, *, patience: float = 1.0, has_turn: bool = False) -> Room:
    """Ask for a turn of ten a second, as so many accounts."""
    account = CredentialId(f"wx{number}")
    return store.limiter.acquire(account, rate=10, concurrency=1, seconds=60, patience=patience, has_turn=has_turn)


def test_a_turn_that_is_too_far_away_is_not_given_and_so_delays_nobody(store: Store) -> None:
    assert acquire_turn(store, 0).wait == 0
    for number in range(1, 9):
        room = acquire_turn(store, number, patience=0.05)
        assert not room.has_turn
        assert 0 < room.wait <= 0.1


def test_who_has_a_turn_and_finds_no_room_keeps_it(store: Store) -> None:
    assert acquire_turn(store, 0).wait == 0
    room = acquire_turn(store, 1)
    time.sleep(room.wait)
    room = acquire_turn(store, 1, has_turn=room.has_turn)
    assert (room.wait, room.has_turn) == (0.1, True)

    leave(store, CredentialId("wx0"))
    assert acquire_turn(store, 1, has_turn=True).wait == 0


def test_no_two_turns_are_spent_on_one_credential(store: Store) -> None:
    assert acquire_turn(store, 0).wait == 0
    assert acquire_turn(store, 1).has_turn
    assert [acquire_turn(store, 1).is_taken for _ in range(5)] == [True] * 5

    assert acquire_turn(store, 2).wait == pytest.approx(0.2, abs=0.05)


def test_nobody_waits_for_who_died_waiting_nor_for_a_clock_that_went_back(store: Store, client: redis.Redis) -> None:
    for ends in (store.now() - 1, store.now() + 60):
        client.zadd("tokenworker:{limiter}:waiting", {"wx0:access_token": ends * 1000})
        room = acquire_turn(store, 0)
        assert not room.is_taken
        leave(store, CredentialId("wx0"))
        client.delete("tokenworker:{limiter}:rate")


def test_a_turn_whose_holder_died_passes(store: Store) -> None:
    assert acquire_turn(store, 0).wait == 0
    assert acquire_turn(store, 1).has_turn
    leave(store, CredentialId("wx0"))
    time.sleep(0.21)

    assert acquire_turn(store, 2).wait == 0


def test_turns_that_a_clock_set_back_put_far_away_are_forgotten(store: Store, client: redis.Redis) -> None:
    client.set("tokenworker:{limiter}:rate", f"{(store.now() + 60) * 1000:.3f}")

    assert acquire_turn(store, 0).wait == 0


def test_every_credential_can_be_had_fetched_again(store: Store) -> None:
    commit(store)
    store.bulk.doubt([WX1, TICKET])

    assert look(store).in_doubt == 1
    assert store.records.look(TICKET).in_doubt == 0
    assert look(store).in_doubt_since == 0
    assert store.schedule.claim(2, 60) == [WX1, TICKET]


def test_what_may_have_been_replaced_is_in_doubt_since_the_first_time_that_somebody_says_so(store: Store) -> None:
    commit(store)
    store.bulk.doubt([WX1, TICKET], replaced=True)
    since = look(store).in_doubt_since
    assert since == pytest.approx(store.now(), abs=1)
    time.sleep(0.02)
    store.bulk.doubt([WX1], replaced=True)

    assert look(store).in_doubt == 1
    assert look(store).in_doubt_since == since
    assert store.records.look(TICKET).in_doubt is None


def test_what_was_fetched_since_is_the_last_one_for_sure(store: Store) -> None:
    commit(store)
    store.bulk.doubt([WX1], replaced=True, but_last=60)
    assert look(store).in_doubt is None
    time.sleep(0.02)
    store.bulk.doubt([WX1], replaced=True, but_last=0.01)

    assert look(store).in_doubt == 1


def test_what_was_done_lately_is_not_done_again_by_everybody(store: Store) -> None:
    assert store.notes.mark("in_doubt", 0.1)
    assert not store.notes.mark("in_doubt", 0.1)
    assert store.notes.mark("restored", 0.1)
    time.sleep(0.12)

    assert store.notes.mark("in_doubt", 60)


def test_it_counts_as_done_though_a_clock_that_ran_ahead_noted_it(store: Store, client: redis.Redis) -> None:
    client.set("tokenworker:in_doubt", "1", px=60_500)
    assert not store.notes.mark("in_doubt", 60)

    client.set("tokenworker:in_doubt", "1", px=62_000)
    assert store.notes.mark("in_doubt", 60)


def test_nobody_ends_the_lease_of_another(store: Store) -> None:
    held = leased(store)
    store.records.release(replace(held, owner="thief"))

    assert lease_of(store) is None


def test_the_published_key_may_be_of_any_type_and_never_blocks_the_token(store: Store, client: redis.Redis) -> None:
    client.rpush("YG-WECHAT-TOKEN", "a list")

    assert commit(store) == "committed"
    assert client.get("YG-WECHAT-TOKEN") == b"token"


def test_a_wrong_type_under_the_token_key_counts_as_no_token(store: Store, client: redis.Redis) -> None:
    client.rpush(TOKEN, "a list")

    assert look(store).credential is None
    commit(store)
    assert client.get(TOKEN) == b"token"


def test_a_token_key_that_never_expires_is_none_of_ours(store: Store, client: redis.Redis) -> None:
    client.set(TOKEN, "left behind")

    assert look(store).credential is None


def test_a_state_of_another_version_is_read_as_far_as_it_makes_sense(store: Store, client: redis.Redis) -> None:
    client.hset(STATE, mapping={"new_field": "x", "refresh_at": "soon", "fencing": "7", "errcode": "", "now": "1"})
    snapshot = look(store)

    assert snapshot.fencing == 7
    assert snapshot.refresh_at == 0.0
    assert snapshot.errcode is None
    assert snapshot.now > 1e9


def test_due_accounts_are_taken_once_and_come_back_after_the_grace(store: Store) -> None:
    far = CredentialId("wx3")
    store.schedule.add([WX1, WX2, far])
    store.schedule.set(far, 9e9)

    assert sorted(store.schedule.claim(10, 0.1)) == [WX1, WX2]
    assert store.schedule.claim(10, 0.1) == []
    assert store.schedule.due(store.now(), 10) == []
    assert store.schedule.due(store.now() + 1, 10) == [WX1, WX2]
    time.sleep(0.12)
    assert len(store.schedule.claim(1, 60)) == 1
    assert len(store.schedule.due(store.now(), 10)) == 1
    assert store.schedule.ids() == [WX1, WX2, far]
    assert len(store.schedule) == 3


def test_what_names_no_credential_in_the_schedule_stops_nobody_and_goes(store: Store, client: redis.Redis) -> None:
    """Members as versions before the tickets wrote them, and whatever other programs put there."""
    members = [b"wx1", b"\xff\xfe:name", b"", b":", b":name", b"wx1:", MEMBER.encode()]
    for member in members:
        client.zadd("tokenworker:due", {member: 0})

    assert store.schedule.ids() == store.schedule.due(1, 10) == [WX1]
    assert store.schedule.claim(10, 5) == [WX1]
    assert client.zrange("tokenworker:due", 0, -1) == [MEMBER.encode()]


def test_enrolling_again_does_not_change_plans(store: Store, client: redis.Redis) -> None:
    store.schedule.set(WX1, 9e9)
    store.schedule.add([WX1])

    assert client.zscore("tokenworker:due", MEMBER) == 9e9


def test_accounts_without_a_token_are_found(store: Store) -> None:
    commit(store)

    assert store.bulk.missing([WX1]) == []
    assert store.bulk.missing([WX1, WX2]) == [WX2]
    assert store.bulk.missing([]) == []


def test_a_cleared_account_leaves_nothing_but_a_note_that_it_went(store: Store, client: redis.Redis) -> None:
    commit(store)
    store.records.clear(WX1, 0.1)

    assert client.keys("*") == [STATE.encode()]
    assert client.hgetall(STATE) == {b"fencing": b"1", b"resolved": b"1", b"removed": b"1"}
    time.sleep(0.12)
    assert client.keys("*") == []


def test_a_fetch_under_way_does_not_bring_a_cleared_account_back(store: Store, client: redis.Redis) -> None:
    commit(store)
    lease = leased(store)
    store.records.clear(WX1)

    assert commit(store, lease=lease) == "refused"
    assert lease_of(store) is None
    assert client.get(TOKEN) is None
    assert look(store).in_doubt is None


def test_an_account_that_comes_back_goes_on_counting(store: Store, client: redis.Redis) -> None:
    commit(store)
    store.records.clear(WX1, 0.1)
    store.bulk.announce({WX1: "r"})

    assert leased(store).fencing == 2
    assert client.pttl(STATE) == -1


def test_looking_at_an_unknown_account_makes_no_key(store: Store, client: redis.Redis) -> None:
    assert look(store, "wx9").credential is None
    assert not store.records.reject(CredentialId("wx9"), fingerprint("x"))
    assert client.keys("*") == []


def test_a_snapshot_shows_no_token(store: Store) -> None:
    commit(store, "precious")

    assert "precious" not in repr(look(store))


def test_redis_that_refuses_is_an_error_with_a_reason_within_a_second(own_server: RedisServer) -> None:
    own_server.kill()
    store = Store(connect(own_server.url))
    began = time.monotonic()
    with pytest.raises(StoreUnavailable, match=f"refused|{own_server.port}"):
        look(store)

    assert time.monotonic() - began < 1


def test_a_password_is_never_part_of_an_error(server: RedisServer) -> None:
    store = Store(connect(server.url.replace("//", "//nobody:canary-password@")))
    with pytest.raises(StoreUnavailable) as caught:
        look(store)

    assert "canary-password" not in "".join(format_exception(caught.value))


# Names.


def test_names_are_kept_by_appid_until_they_change_or_go(store: Store, client: redis.Redis) -> None:
    store.notes.rename({"wx1": "shop", "wx2": "官方旗舰店", "wx3": ""})
    assert store.notes.names() == {"wx1": "shop", "wx2": "官方旗舰店"}
    assert client.hget("tokenworker:names", "wx2") == "官方旗舰店".encode()

    store.notes.rename({"wx1": "mall", "wx2": ""})
    assert store.notes.names() == {"wx1": "mall"}

    store.notes.rename({})
    store.records.clear(WX1)
    assert store.notes.names() == {"wx1": "mall"}
    store.notes.rename({"wx1": ""})
    assert store.notes.names() == {}


def test_others_names_stay(store: Store) -> None:
    store.notes.rename({"wx1": "shop"})
    store.notes.rename({"wx2": "mall"})
    store.notes.rename({"wx2": ""})

    assert store.notes.names() == {"wx1": "shop"}


# Many at once


def test_what_comes_in_pages_comes_whole(store: Store) -> None:
    ids = [CredentialId(f"wx{number:04}") for number in range(1203)]
    store.schedule.add(ids)
    store.notes.rename({id_.account: f"name {id_.account}" for id_ in ids})

    assert store.schedule.ids() == ids
    assert store.notes.names() == {id_.account: f"name {id_.account}" for id_ in ids}
    assert store.notes.names_of(["wx0007", "wx9999"]) == {"wx0007": "name wx0007"}
    assert store.schedule.due(store.now(), 700) == ids[:700]
    assert store.schedule.claim(450, 60) == ids[:450]
    assert store.bulk.missing(ids) == ids


def test_of_many_the_one_that_lacks_a_copy_is_named(store: Store, client: redis.Redis) -> None:
    ids = [CredentialId(f"wx{number:04}") for number in range(700)]
    client.mset({key: "text" for id_ in ids for key in (store.keys.value(id_), f"copy:{id_.account}")})
    client.delete("copy:wx0623")

    assert store.bulk.incomplete({id_: [f"copy:{id_.account}"] for id_ in ids}) == [CredentialId("wx0623")]


def test_many_whose_settings_changed_are_due_and_known(store: Store) -> None:
    ids = [CredentialId(f"wx{number:04}") for number in range(450)]
    store.bulk.announce(dict.fromkeys(ids, "digest"))

    assert store.schedule.due(0, 1000) == ids
    assert store.records.look(ids[-1]).settings_announced == "digest"
    assert store.bulk.accepted(ids) == {}
