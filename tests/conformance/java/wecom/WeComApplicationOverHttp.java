import java.io.IOException;
import me.chanjar.weixin.cp.api.WxCpService;
import me.chanjar.weixin.cp.api.impl.WxCpServiceImpl;
import me.chanjar.weixin.cp.config.impl.WxCpDefaultConfigImpl;

/** An application of WeCom on WxJava: {@code WEB_URL API_URL CORPID/AGENT KEY}. */
final class WeComApplicationOverHttp {
  public static void main(String[] given) throws IOException {
    WxCpDefaultConfigImpl config = config(new Web(given[0], given[3]), given[2]);
    WxCpService service = new WxCpServiceImpl();
    service.setWxCpConfigStorage(WeComApplication.configured(config, given[1], given[2], given[3]));
    Conversation.hold(WeComApplication.answers(service));
  }

  private static WxCpDefaultConfigImpl config(Web web, String account) {
    return new WxCpDefaultConfigImpl() {
      @Override
      public String getApiUrl(String path) {
        boolean ours = path.matches("/cgi-bin/(gettoken|get_jsapi_ticket|ticket/get)\\b.*");
        return ours ? web.url + path : super.getApiUrl(path);
      }

      @Override
      public void expireAccessToken() {
        web.report(account, getAccessToken());
        super.expireAccessToken();
      }
    };
  }

  private WeComApplicationOverHttp() {}
}
