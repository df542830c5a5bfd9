package main

import (
	"strings"

	"github.com/silenceper/wechat/v2"
	"github.com/silenceper/wechat/v2/cache"
	official "github.com/silenceper/wechat/v2/officialaccount/config"
	"github.com/silenceper/wechat/v2/util"
	work "github.com/silenceper/wechat/v2/work/config"
)

// web WEB_URL API_URL ACCOUNT KEY token|stable: tokens and tickets come from tokenworker, all other calls go to WeChat.
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
		// Theirs is the sandbox.
		"https://api.weixin.qq.com", api,
		"https://qyapi.weixin.qq.com", api,
	).Replace)

	sdk := wechat.NewWechat()
	if isWork {
		return ofWork(sdk, &work.Config{CorpID: id, CorpSecret: given[3], AgentID: agent, Cache: cache.NewMemory()})
	}
	config := &official.Config{AppID: id, AppSecret: given[3], Cache: cache.NewMemory()}
	config.UseStableAK = given[4] == "stable"
	return ofOfficialAccount(sdk, config)
}
