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
    // Where it is away, the question that follows fails, too, and says why.
    HttpClient.newHttpClient().sendAsync(report, BodyHandlers.discarding()).handle((answer, error) -> answer).join();
  }
}
