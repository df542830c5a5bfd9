// Applications on silenceper/wechat: each writes, as JSON, what it answers to each question that it reads.
package main

import (
	"bufio"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"strings"

	"github.com/silenceper/wechat/v2/officialaccount"
	"github.com/silenceper/wechat/v2/util"
)

type answers map[string]func(page string) (any, error)

func main() {
	programs := map[string]func([]string) answers{"copies": copies, "web": web}
	known := programs[os.Args[1]](os.Args[2:])

	for lines := bufio.NewScanner(os.Stdin); lines.Scan(); {
		question, page, _ := strings.Cut(lines.Text(), " ")
		answer, err := known[question](page)
		if err != nil {
			answer = refusal(err)
		}
		text, _ := json.Marshal(answer)
		fmt.Println(string(text))
	}
}

// WeChat's errcode, where it gave one.
func refusal(err error) any {
	var refused *util.CommonError
	if errors.As(err, &refused) {
		return refused.ErrCode
	}
	return err.Error()
}

// A call that only shows whether the token is accepted.
func call(account *officialaccount.OfficialAccount) func(string) (any, error) {
	return func(string) (any, error) {
		_, err := account.GetUser().ListUserOpenIDs()
		return 0, err
	}
}
