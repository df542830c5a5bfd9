import cn.binarywang.wx.miniapp.api.WxMaService;
import cn.binarywang.wx.miniapp.api.impl.WxMaServiceImpl;
import cn.binarywang.wx.miniapp.config.impl.WxMaDefaultConfigImpl;
import cn.binarywang.wx.miniapp.config.impl.WxMaRedisBetterConfigImpl;
import java.io.IOException;
import java.util.Map;
import me.chanjar.weixin.common.redis.WxRedisOps;

/** A mini program on WxJava: {@code CLIENT REDIS_URL API_URL APPID SECRET [off]}. */
final class MiniProgram {
  public static void main(String[] given) throws IOException {
    WxRedisOps ops = RedisClients.ops(given[0], given[1]);
    boolean refreshes = given.length == 5 || !given[5].equals("off");
    WxMaDefaultConfigImpl config = refreshes ? new WxMaRedisBetterConfigImpl(ops, "wa") : withoutRefresh(ops);
    config.setAppid(given[3]);
    config.setSecret(given[4]);
    config.setApiHostUrl(given[2]);
    WxMaService service = new WxMaServiceImpl();
    service.setWxMaConfig(config);
    Conversation.hold(answers(service));
  }

  static Map<String, Conversation.Answer> answers(WxMaService service) {
    return Map.of(
        "", page -> {
          service.get("https://api.weixin.qq.com/cgi-bin/user/get", null);
          return 0;
        },
        "access_token", page -> service.getAccessToken());
  }

  private static WxMaDefaultConfigImpl withoutRefresh(WxRedisOps ops) {
    return new WxMaRedisBetterConfigImpl(ops, "wa") {
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

  private MiniProgram() {}
}
