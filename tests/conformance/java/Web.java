import java.io.IOException;
import java.io.UncheckedIOException;
import java.net.URI;
import java.net.http.HttpClient;
import java.net.http.HttpRequest;
import java.net.http.HttpRequest.BodyPublishers;
import java.net.http.HttpResponse.BodyHandlers;

/** {@code tokenworker web}, as a client with a key sees it. */
final class Web {
  final String url;
  final String key;

  Web(String url, String key) {
    this.url = url;
    this.key = key;
  }

  /** Tells that WeChat refused a token: who asks for one then gets another. */
  void report(String account, String token) {
    HttpRequest report =
        HttpRequest.newBuilder(URI.create(url + "/v1/credentials/" + account + "/access_token/reject"))
            .header("Authorization", "Bearer " + key)
            .POST(BodyPublishers.ofString("{\"value\": \"" + token + "\"}"))
            .build();
    try {
      HttpClient.newHttpClient().send(report, BodyHandlers.discarding());
    } catch (IOException error) {
      throw new UncheckedIOException(error);
    } catch (InterruptedException error) {
      Thread.currentThread().interrupt();
    }
  }
}
