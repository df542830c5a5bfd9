import java.net.URI;
import me.chanjar.weixin.common.redis.JedisWxRedisOps;
import me.chanjar.weixin.common.redis.RedisTemplateWxRedisOps;
import me.chanjar.weixin.common.redis.RedissonWxRedisOps;
import me.chanjar.weixin.common.redis.WxRedisOps;
import org.redisson.Redisson;
import org.redisson.api.RedissonClient;
import org.redisson.client.codec.StringCodec;
import org.redisson.config.Config;
import org.springframework.data.redis.connection.RedisStandaloneConfiguration;
import org.springframework.data.redis.connection.lettuce.LettuceConnectionFactory;
import org.springframework.data.redis.core.StringRedisTemplate;
import redis.clients.jedis.JedisPool;

/** The clients of Redis that WxJava takes: Jedis, Spring's template on Lettuce, and Redisson. */
@SuppressWarnings("deprecation") // of Jedis, which many have
final class RedisClients {
  static WxRedisOps ops(String client, String url) {
    switch (client) {
      case "jedis":
        return new JedisWxRedisOps(jedis(url));
      case "template":
        return new RedisTemplateWxRedisOps(template(url));
      default:
        return new RedissonWxRedisOps(redisson(url));
    }
  }

  static JedisPool jedis(String url) {
    return new JedisPool(URI.create(url));
  }

  static StringRedisTemplate template(String url) {
    URI place = URI.create(url);
    RedisStandaloneConfiguration server = new RedisStandaloneConfiguration(place.getHost(), place.getPort());
    LettuceConnectionFactory connections = new LettuceConnectionFactory(server);
    connections.afterPropertiesSet();
    return new StringRedisTemplate(connections);
  }

  static RedissonClient redisson(String url) {
    Config config = new Config();
    config.setCodec(StringCodec.INSTANCE).useSingleServer().setAddress(url);
    return Redisson.create(config);
  }

  private RedisClients() {}
}
