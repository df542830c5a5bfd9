<?php
// The caches under EasyWeChat: reads what a cache holds under each key that comes in on a line, and writes it as JSON.
[, $which, $host, $port, $prefix] = $argv;

if ($which === 'symfony') {
    require '/usr/share/php/Psr/SimpleCache/autoload.php';
    require '/usr/share/php/Symfony/Component/Cache/autoload.php';
    $redis = Symfony\Component\Cache\Adapter\RedisAdapter::createConnection("redis://$host:$port");
    $cache = new Symfony\Component\Cache\Psr16Cache(new Symfony\Component\Cache\Adapter\RedisAdapter($redis, $prefix));
} else {
    require '/usr/share/php/Illuminate/Cache/autoload.php';
    require '/usr/share/php/Illuminate/Redis/autoload.php';
    $servers = new Illuminate\Redis\RedisManager(null, 'phpredis', ['default' => ['host' => $host, 'port' => $port]]);
    $cache = new Illuminate\Cache\Repository(new Illuminate\Cache\RedisStore($servers, $prefix));
}

while (($key = fgets(STDIN)) !== false) {
    echo json_encode($cache->get(trim($key))), "\n";
}
