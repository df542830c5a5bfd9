// An application on node-easywechat: makes a call for each line that it reads, and writes WeChat's errcode.
const readline = require('node:readline');
const { CacheInterface, OfficialAccount } = require('node-easywechat');
const Redis = require('ioredis');

const [redisUrl, apiUrl, appid, secret, ownRefresh] = process.argv.slice(2);
const redis = new Redis(redisUrl);

class RedisCache extends CacheInterface {
  async get(key) { return JSON.parse(await redis.get(key)); }
  async has(key) { return (await redis.exists(key)) === 1; }
  async set(key, data, lifetime) { return (await redis.set(key, JSON.stringify(data), 'EX', lifetime)) === 'OK'; }
  async delete(key) { return (await redis.del(key)) === 1; }
}

const app = new OfficialAccount({ app_id: appid, secret: ownRefresh === 'on' ? secret : '', http: { baseURL: apiUrl } });
app.setCache(new RedisCache());
app.getAccessToken().setKey(`node-easywechat:access_token:${appid}`);

async function main() {
  for await (const _ of readline.createInterface({ input: process.stdin })) {
    try {
      const answer = (await app.getClient().get('/cgi-bin/user/get')).toObject();
      console.log(answer.errcode ?? 0);
    } catch (error) {
      console.log(error.message);
    }
  }
  redis.disconnect();
}
main();
