import com.google.gson.Gson;
import java.io.BufferedReader;
import java.io.IOException;
import java.io.InputStreamReader;
import java.util.Map;
import me.chanjar.weixin.common.error.WxErrorException;

/** Answers each line with a line: a question and perhaps a page's address, and as JSON the answer or WeChat's errcode. */
final class Conversation {
  interface Answer {
    Object to(String page) throws WxErrorException;
  }

  static void hold(Map<String, Answer> answers) throws IOException {
    BufferedReader lines = new BufferedReader(new InputStreamReader(System.in));
    for (String line; (line = lines.readLine()) != null; ) {
      String[] words = (line + " ").split(" ", 2);
      System.out.println(new Gson().toJson(answer(answers.get(words[0]), words[1].trim())));
    }
    // Redis clients have threads that would go on.
    System.exit(0);
  }

  private static Object answer(Answer answer, String page) {
    try {
      return answer.to(page);
    } catch (WxErrorException error) {
      return error.getError().getErrorCode();
    } catch (RuntimeException error) {
      return String.valueOf(error);
    }
  }

  private Conversation() {}
}
