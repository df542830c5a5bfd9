import java.io.IOException;
import java.util.Map;
import me.chanjar.weixin.cp.api.WxCpService;
import me.chanjar.weixin.cp.api.impl.WxCpServiceImpl;
import me.chanjar.weixin.cp.config.impl.AbstractWxCpInRedisConfigImpl;
import me.chanjar.weixin.cp.config.impl.WxCpDefaultConfigImpl;
import me.chanjar.weixin.cp.config.impl.WxCpJedisConfigImpl;
import me.chanjar.weixin.cp.config.impl.WxCpRedisTemplateConfigImpl;
import me.chanjar.weixin.cp.config.impl.WxCpRedissonConfigImpl;

/** An application of WeCom on WxJava: {@code CLIENT REDIS_URL API_URL CORPID/AGENT SECRET}. */
final class WeComApplication {
  public static void main(String[] given) throws IOException {
    WxCpService service = new WxCpServiceImpl();
    service.setWxCpConfigStorage(configured(storage(given[0], given[1]), given[2], given[3], given[4]));
    Conversation.hold(answers(service));
  }

  static WxCpDefaultConfigImpl configured(WxCpDefaultConfigImpl config, String api, String id, String secret) {
    String[] account = id.split("/");
    config.setCorpId(account[0]);
    config.setAgentId(Integer.valueOf(account[1]));
    config.setCorpSecret(secret);
    config.setBaseApiUrl(api);
    return config;
  }

  static Map<String, Conversation.Answer> answers(WxCpService service) {
    return Map.of(
        "", page -> {
          service.get(service.getWxCpConfigStorage().getApiUrl("/cgi-bin/get_api_domain_ip"), null);
          return 0;
        },
        "access_token", page -> service.getAccessToken(),
        "jsapi_ticket", page -> service.getJsapiTicket(),
        "agent_ticket", page -> service.getAgentJsapiTicket(),
        "config", service::createJsapiSignature);
  }

  private static AbstractWxCpInRedisConfigImpl storage(String client, String url) {
    switch (client) {
      case "jedis":
        return new WxCpJedisConfigImpl(RedisClients.jedis(url));
      case "template":
        return new WxCpRedisTemplateConfigImpl(RedisClients.template(url));
      default:
        return new WxCpRedissonConfigImpl(RedisClients.redisson(url));
    }
  }

  private WeComApplication() {}
}
