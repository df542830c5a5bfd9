import cn.binarywang.wx.miniapp.api.WxMaService;
import cn.binarywang.wx.miniapp.api.impl.WxMaServiceImpl;
import cn.binarywang.wx.miniapp.config.impl.WxMaDefaultConfigImpl;
import java.io.IOException;

/** A mini program on WxJava: {@code WEB_URL API_URL APPID KEY token|stable}. */
final class MiniProgramOverHttp {
  public static void main(String[] given) throws IOException {
    WxMaDefaultConfigImpl config = config(new Web(given[0], given[3]), given[2], given[4].equals("stable"));
    config.setApiHostUrl(given[1]);
    WxMaService service = new WxMaServiceImpl();
    service.setWxMaConfig(config);
    Conversation.hold(MiniProgram.answers(service));
  }

  private static WxMaDefaultConfigImpl config(Web web, String appid, boolean stable) {
    WxMaDefaultConfigImpl config =
        new WxMaDefaultConfigImpl() {
          @Override
          public void expireAccessToken() {
            web.report(appid, getAccessToken());
            super.expireAccessToken();
          }
        };
    config.setAppid(appid);
    config.setSecret(web.key);
    config.useStableAccessToken(stable);
    String token = "/cgi-bin/token?grant_type=client_credential&appid=%s&secret=%s";
    config.setAccessTokenUrl(web.url + (stable ? "/cgi-bin/stable_token" : token));
    return config;
  }

  private MiniProgramOverHttp() {}
}
