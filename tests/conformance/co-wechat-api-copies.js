// An application on co-wechat-api: writes, as JSON, what it answers to each question that it reads.
const readline = require('node:readline');
const WechatAPI = require('co-wechat-api');
const Redis = require('ioredis');

const [redisUrl, apiUrl, appid, secret] = process.argv.slice(2);
const redis = new Redis(redisUrl);
const get = async (name) => JSON.parse(await redis.get(`co-wechat-api:${name}:${appid}`));

const api = new WechatAPI(appid, secret, () => get('access_token'), async () => {});
api.registerTicketHandle((type) => get(`${type}_ticket`), async () => {});
api.prefix = `${apiUrl}/cgi-bin/`;

const answers = {
  access_token: async () => (await api.ensureAccessToken()).accessToken,
  jsapi_ticket: async () => (await api.ensureTicket('jsapi')).ticket,
  wx_card_ticket: async () => (await api.ensureTicket('wx_card')).ticket,
  config: async (url) => api.getJsConfig({ url }),
};

async function main() {
  for await (const line of readline.createInterface({ input: process.stdin })) {
    const [question, ...words] = line.split(' ');
    try {
      console.log(JSON.stringify(await answers[question](...words)));
    } catch (error) {
      console.log(JSON.stringify(error.code ?? String(error)));
    }
  }
  redis.disconnect();
}
main();
