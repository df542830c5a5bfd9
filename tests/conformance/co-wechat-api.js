// An application on co-wechat-api: makes a call for each line that it reads, and writes WeChat's errcode.
const readline = require('node:readline');
const WechatAPI = require('co-wechat-api');
const Redis = require('ioredis');

const [redisUrl, apiUrl, appid, secret, ownRefresh] = process.argv.slice(2);
const redis = new Redis(redisUrl);
const key = `co-wechat-api:access_token:${appid}`;
const getToken = async () => JSON.parse(await redis.get(key));
const saveToken = async (token) => redis.set(key, JSON.stringify(token));

const api = ownRefresh === 'on'
  ? new WechatAPI(appid, secret, getToken, saveToken)
  : new WechatAPI(appid, '', getToken, async () => {}, true);
api.prefix = `${apiUrl}/cgi-bin/`;

async function main() {
  for await (const _ of readline.createInterface({ input: process.stdin })) {
    try {
      await api.getFollowers();
      console.log(0);
    } catch (error) {
      console.log(error.code ?? error);
    }
  }
  redis.disconnect();
}
main();
