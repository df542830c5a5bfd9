package main

import (
	"context"
	"net/http"
	"net/url"
	"strings"

	"github.com/silenceper/wechat/v2"
	"github.com/silenceper/wechat/v2/cache"
	"github.com/silenceper/wechat/v2/credential"
	"github.com/silenceper/wechat/v2/officialaccount"
	official "github.com/silenceper/wechat/v2/officialaccount/config"
	"github.com/silenceper/wechat/v2/util"
	work "github.com/silenceper/wechat/v2/work/config"
)

// It has the addresses of WeChat and WeCom built in.
type toUpstream struct{ host string }

func (to toUpstream) RoundTrip(request *http.Request) (*http.Response, error) {
	request.URL.Scheme, request.URL.Host = "http", to.host
	return http.DefaultTransport.RoundTrip(request)
}

// copies REDIS_URL API_URL ACCOUNT SECRET [off]
func copies(given []string) answers {
	redis, _ := url.Parse(given[0])
	api, _ := url.Parse(given[1])
	id, agent, isWork := strings.Cut(given[2], "/")
	secret := given[3]
	if len(given) > 4 && given[4] == "off" {
		secret = ""
	}

	sdk := wechat.NewWechat()
	sdk.SetHTTPClient(&http.Client{Transport: toUpstream{api.Host}})
	kept := cache.NewRedis(context.Background(), &cache.RedisOpts{Host: redis.Host})
	if isWork {
		return ofWork(sdk, &work.Config{CorpID: id, CorpSecret: secret, AgentID: agent, Cache: kept})
	}
	return ofOfficialAccount(sdk, &official.Config{AppID: id, AppSecret: secret, Cache: kept})
}

func ofOfficialAccount(sdk *wechat.Wechat, config *official.Config) answers {
	return ofAccount(sdk.GetOfficialAccount(config), config)
}

func ofAccount(account *officialaccount.OfficialAccount, config *official.Config) answers {
	ticket := credential.NewDefaultJsTicket(config.AppID, credential.CacheKeyOfficialAccountPrefix, config.Cache)
	return answers{
		"":             call(account),
		"access_token": func(string) (any, error) { return account.GetAccessToken() },
		"jsapi_ticket": withToken(account.GetAccessToken, ticket.GetTicket),
		"config":       func(page string) (any, error) { return account.GetJs().GetConfig(page) },
	}
}

func ofWork(sdk *wechat.Wechat, config *work.Config) answers {
	app := sdk.GetWork(config)
	tickets := credential.NewWorkJsTicket(config.CorpID, config.AgentID, credential.CacheKeyWorkPrefix, config.Cache)
	ticket := func(kind credential.TicketType) func(string) (any, error) {
		return withToken(app.GetContext().GetAccessToken, func(token string) (string, error) {
			return tickets.GetTicket(token, kind)
		})
	}
	return answers{
		"":             withToken(app.GetContext().GetAccessToken, domains),
		"access_token": func(string) (any, error) { return app.GetContext().GetAccessToken() },
		"jsapi_ticket": ticket(credential.TicketTypeCorpJs),
		"agent_ticket": ticket(credential.TicketTypeAgentJs),
		"config":       func(page string) (any, error) { return app.JsSdk().GetConfig(page) },
	}
}

func withToken[T any](token func() (string, error), do func(string) (T, error)) func(string) (any, error) {
	return func(string) (any, error) {
		with, err := token()
		if err != nil {
			return nil, err
		}
		return do(with)
	}
}

// A call of WeCom that only shows whether the token is accepted; the SDK has none of its own.
func domains(token string) (int, error) {
	answer, err := util.HTTPGet("https://qyapi.weixin.qq.com/cgi-bin/get_api_domain_ip?access_token=" + token)
	if err != nil {
		return 0, err
	}
	return 0, util.DecodeWithCommonError(answer, "get_api_domain_ip")
}
