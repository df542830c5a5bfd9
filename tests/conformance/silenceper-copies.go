// An application on silenceper/wechat: writes, as JSON, what it answers to each question that it reads.
package main

import (
	"bufio"
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"net/url"
	"os"
	"strings"

	"github.com/silenceper/wechat/v2"
	"github.com/silenceper/wechat/v2/cache"
	"github.com/silenceper/wechat/v2/credential"
	official "github.com/silenceper/wechat/v2/officialaccount/config"
	work "github.com/silenceper/wechat/v2/work/config"
)

// It has the addresses of WeChat and WeCom built in.
type toUpstream struct{ host string }

func (to toUpstream) RoundTrip(request *http.Request) (*http.Response, error) {
	request.URL.Scheme, request.URL.Host = "http", to.host
	return http.DefaultTransport.RoundTrip(request)
}

type answers map[string]func(page string) (any, error)

func ofOfficialAccount(sdk *wechat.Wechat, appid, secret string, kept cache.Cache) answers {
	account := sdk.GetOfficialAccount(&official.Config{AppID: appid, AppSecret: secret, Cache: kept})
	ticket := credential.NewDefaultJsTicket(appid, credential.CacheKeyOfficialAccountPrefix, kept)
	return answers{
		"access_token": func(string) (any, error) { return account.GetAccessToken() },
		"jsapi_ticket": func(string) (any, error) { return ticket.GetTicket("") },
		"config":       func(page string) (any, error) { return account.GetJs().GetConfig(page) },
	}
}

func ofWork(sdk *wechat.Wechat, corpid, agent, secret string, kept cache.Cache) answers {
	app := sdk.GetWork(&work.Config{CorpID: corpid, CorpSecret: secret, AgentID: agent, Cache: kept})
	ticket := credential.NewWorkJsTicket(corpid, agent, credential.CacheKeyWorkPrefix, kept)
	return answers{
		"access_token": func(string) (any, error) { return app.GetContext().GetAccessToken() },
		"jsapi_ticket": func(string) (any, error) { return ticket.GetTicket("", credential.TicketTypeCorpJs) },
		"agent_ticket": func(string) (any, error) { return ticket.GetTicket("", credential.TicketTypeAgentJs) },
		"config":       func(page string) (any, error) { return app.JsSdk().GetConfig(page) },
	}
}

func main() {
	redis, _ := url.Parse(os.Args[1])
	api, _ := url.Parse(os.Args[2])
	id, agent, isWork := strings.Cut(os.Args[3], "/")

	sdk := wechat.NewWechat()
	sdk.SetHTTPClient(&http.Client{Transport: toUpstream{api.Host}})
	kept := cache.NewRedis(context.Background(), &cache.RedisOpts{Host: redis.Host})
	known := ofOfficialAccount(sdk, id, os.Args[4], kept)
	if isWork {
		known = ofWork(sdk, id, agent, os.Args[4], kept)
	}

	for lines := bufio.NewScanner(os.Stdin); lines.Scan(); {
		question, page, _ := strings.Cut(lines.Text(), " ")
		answer, err := known[question](page)
		if err != nil {
			answer = err.Error()
		}
		text, _ := json.Marshal(answer)
		fmt.Println(string(text))
	}
}
