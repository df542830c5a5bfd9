import java.io.IOException;
import me.chanjar.weixin.common.enums.WxType;
import me.chanjar.weixin.common.error.WxErrorException;
import me.chanjar.weixin.common.util.http.RequestExecutor;
import me.chanjar.weixin.common.util.http.SimpleGetRequestExecutor;
import me.chanjar.weixin.mp.api.WxMpService;
import me.chanjar.weixin.mp.api.impl.WxMpServiceImpl;
import me.chanjar.weixin.mp.config.WxMpHostConfig;
import me.chanjar.weixin.mp.config.impl.WxMpDefaultConfigImpl;

/** An official account on WxJava: {@code WEB_URL API_URL APPID KEY}. */
final class OfficialAccountOverHttp {
  public static void main(String[] given) throws IOException {
    WxMpDefaultConfigImpl config = config(new Web(given[0], given[3]), given[2]);
    config.setHostConfig(new WxMpHostConfig(given[1], given[1], given[1]));
    WxMpService service = service(new Web(given[0], given[3]), given[2]);
    service.setWxMpConfigStorage(config);
    Conversation.hold(OfficialAccount.answers(service));
  }

  private static WxMpDefaultConfigImpl config(Web web, String appid) {
    WxMpDefaultConfigImpl config =
        new WxMpDefaultConfigImpl() {
          @Override
          public void expireAccessToken() {
            web.report(appid, getAccessToken());
            super.expireAccessToken();
          }
        };
    config.setAppId(appid);
    return config;
  }

  private static WxMpService service(Web web, String appid) {
    return new WxMpServiceImpl() {
      @Override
      protected String doGetAccessTokenRequest() throws IOException {
        String what = "/cgi-bin/token?grant_type=client_credential&appid=" + appid + "&secret=" + web.key;
        try {
          return SimpleGetRequestExecutor.create(this).execute(web.url + what, null, WxType.MP);
        } catch (WxErrorException error) {
          throw new IOException(error.getError().getErrorMsg());
        }
      }

      @Override
      public <T, E> T execute(RequestExecutor<T, E> executor, String uri, E data) throws WxErrorException {
        return super.execute(executor, uri.replaceFirst("^.*(?=/cgi-bin/ticket/getticket)", web.url), data);
      }
    };
  }

  private OfficialAccountOverHttp() {}
}
