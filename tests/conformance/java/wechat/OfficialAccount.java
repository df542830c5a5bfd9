import java.io.IOException;
import java.util.Map;
import me.chanjar.weixin.common.enums.TicketType;
import me.chanjar.weixin.common.redis.WxRedisOps;
import me.chanjar.weixin.mp.api.WxMpService;
import me.chanjar.weixin.mp.api.impl.WxMpServiceImpl;
import me.chanjar.weixin.mp.config.WxMpHostConfig;
import me.chanjar.weixin.mp.config.impl.WxMpDefaultConfigImpl;
import me.chanjar.weixin.mp.config.impl.WxMpRedisConfigImpl;
import me.chanjar.weixin.mp.config.impl.WxMpRedissonConfigImpl;

/** An official account on WxJava: {@code CLIENT REDIS_URL API_URL APPID SECRET [off]}. */
final class OfficialAccount {
  public static void main(String[] given) throws IOException {
    boolean refreshes = given.length == 5 || !given[5].equals("off");
    WxMpDefaultConfigImpl config = refreshes ? asItComes(given[0], given[1]) : withoutRefresh(given[0], given[1]);
    config.setAppId(given[3]);
    config.setSecret(given[4]);
    config.setHostConfig(new WxMpHostConfig(given[2], given[2], given[2]));
    WxMpService service = new WxMpServiceImpl();
    service.setWxMpConfigStorage(config);
    Conversation.hold(answers(service));
  }

  static Map<String, Conversation.Answer> answers(WxMpService service) {
    return Map.of(
        "", page -> {
          service.get(service.getWxMpConfigStorage().getHostConfig().getApiHost() + "/cgi-bin/user/get", null);
          return 0;
        },
        "access_token", page -> service.getAccessToken(),
        "jsapi_ticket", page -> service.getTicket(TicketType.JSAPI),
        "wx_card_ticket", page -> service.getTicket(TicketType.WX_CARD),
        "config", service::createJsapiSignature);
  }

  private static WxMpDefaultConfigImpl asItComes(String client, String url) {
    return client.equals("redisson")
        ? new WxMpRedissonConfigImpl(RedisClients.redisson(url), "wx")
        : new WxMpRedisConfigImpl(RedisClients.ops(client, url), "wx");
  }

  private static WxMpDefaultConfigImpl withoutRefresh(String client, String url) {
    WxRedisOps ops = RedisClients.ops(client, url);
    return new WxMpRedisConfigImpl(ops, "wx") {
      @Override
      public boolean autoRefreshToken() {
        return false;
      }

      @Override
      public boolean isAccessTokenExpired() {
        return false;
      }

      @Override
      public void expireAccessToken() {}
    };
  }

  private OfficialAccount() {}
}
