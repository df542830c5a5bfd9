// Reads a token as an application on co-wechat-api does: so many times as each line says; writes the nanoseconds.
const readline = require('node:readline');
const WechatAPI = require('co-wechat-api');
const Redis = require('ioredis');

const [redisUrl, appid, accessToken] = process.argv.slice(2);
const redis = new Redis(redisUrl);
const key = `co-wechat-api:access_token:${appid}`;
const getToken = async () => JSON.parse(await redis.get(key));
const saveToken = async (token) => redis.set(key, JSON.stringify(token));
const api = new WechatAPI(appid, '', getToken, saveToken);

async function main() {
  await saveToken({ accessToken, expireTime: Date.now() + 7000000 });
  for await (const line of readline.createInterface({ input: process.stdin })) {
    const times = [];
    for (let left = Number(line); left > 0; left -= 1) {
      const began = process.hrtime.bigint();
      const token = await api.ensureAccessToken();
      times.push(Number(process.hrtime.bigint() - began));
      if (token.accessToken !== accessToken) throw new Error('another token');
    }
    console.log(JSON.stringify(times));
  }
  redis.disconnect();
}
main();
