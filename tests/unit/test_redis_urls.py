"""REDIS_URL with more servers than one."""

from __future__ import annotations

from tokenworker.settings.servers import Servers


def test_each_sentinel_gets_the_login_the_database_and_the_options_of_all() -> None:
    servers = Servers.of("sentinel://me:p%40w@s1,s2:26380,[::1]/shop-1?db=2&client_name=shop")
    assert (servers.topology, servers.service) == ("sentinel", "shop-1")
    assert servers.urls == tuple(
        f"redis://me:p%40w@{host}/?db=2&client_name=shop" for host in ("s1:26379", "s2:26380", "[::1]:26379")
    )


def test_what_logs_in_at_the_sentinels_is_kept_from_the_master() -> None:
    servers = Servers.of("sentinels://:one@s1/mymaster/3?sentinel_username=u&sentinel_password=p%40w")
    assert servers.urls == ("rediss://:one@s1:26379/3",)
    assert servers.sentinel_login == {"username": "u", "password": "p@w"}
    assert "one" not in repr(servers)
    assert "p@w" not in repr(servers)


def test_a_cluster_is_found_by_some_of_its_nodes() -> None:
    assert Servers.of("clusters://n1,n2:7000").urls == ("rediss://n1:6379/", "rediss://n2:7000/")


def test_one_server_stays_what_it_is() -> None:
    assert Servers.of("unix:///run/redis.sock?db=2") == Servers("server", ("unix:///run/redis.sock?db=2",))
