package main

import (
	"context"
	"strings"

	"github.com/silenceper/wechat/v2"
	"github.com/silenceper/wechat/v2/cache"
	"github.com/silenceper/wechat/v2/credential"
	official "github.com/silenceper/wechat/v2/officialaccount/config"
	"github.com/silenceper/wechat/v2/util"
	work "github.com/silenceper/wechat/v2/work/config"
)

// web WEB_URL API_URL ACCOUNT KEY token|stable|handle: tokens and tickets come from tokenworker, WeChat does the rest.
func web(given []string) answers {
	here, api := given[0], given[1]
	id, agent, isWork := strings.Cut(given[2], "/")
	util.SetURIModifier(strings.NewReplacer(
		"https://api.weixin.qq.com/cgi-bin/token?", here+"/cgi-bin/token?",
		"https://api.weixin.qq.com/cgi-bin/stable_token", here+"/cgi-bin/stable_token",
		"https://api.weixin.qq.com/cgi-bin/ticket/getticket?", here+"/cgi-bin/ticket/getticket?",
		"https://qyapi.weixin.qq.com/cgi-bin/gettoken?", here+"/cgi-bin/gettoken?",
		"https://qyapi.weixin.qq.com/cgi-bin/get_jsapi_ticket?", here+"/cgi-bin/get_jsapi_ticket?",
		"https://qyapi.weixin.qq.com/cgi-bin/ticket/get?", here+"/cgi-bin/ticket/get?",
		// WeChat is the sandbox here.
		"https://api.weixin.qq.com", api,
		"https://qyapi.weixin.qq.com", api,
	).Replace)

	sdk, key, kept := wechat.NewWechat(), given[3], cache.NewMemory()
	if isWork {
		return ofWork(sdk, &work.Config{CorpID: id, CorpSecret: key, AgentID: agent, Cache: kept})
	}
	config := &official.Config{AppID: id, AppSecret: key, Cache: kept, UseStableAK: given[4] == "stable"}
	if given[4] == "handle" {
		return withHandle(sdk, config)
	}
	return ofOfficialAccount(sdk, config)
}

// handle asks for the token each time: it is next door, and one that was replaced is not used on.
type handle struct{ token *credential.StableAccessToken }

func (of handle) GetAccessToken() (string, error) { return of.ask(false) }

// report tells that WeChat refused the token, and returns once there is another.
func (of handle) report() error {
	_, err := of.ask(true)
	return err
}

func (of handle) ask(refused bool) (string, error) {
	found, err := of.token.GetAccessTokenDirectly(context.Background(), refused)
	return found.AccessToken, err
}

func withHandle(sdk *wechat.Wechat, config *official.Config) answers {
	stable := credential.NewStableAccessToken(config.AppID, config.AppSecret, "", config.Cache)
	ours := handle{stable.(*credential.StableAccessToken)}
	account := sdk.GetOfficialAccount(config)
	account.SetAccessTokenHandle(ours)
	known := ofAccount(account, config)
	known["report"] = func(string) (any, error) { return 0, ours.report() }
	return known
}
