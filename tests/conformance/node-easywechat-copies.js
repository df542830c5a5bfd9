// An application on node-easywechat: writes, as JSON, what it answers to each question that it reads.
const readline = require('node:readline');
const { CacheInterface, OfficialAccount, Work } = require('node-easywechat');
const Redis = require('ioredis');

const [redisUrl, apiUrl, account, secret] = process.argv.slice(2);
const redis = new Redis(redisUrl);
const [id, agent] = account.split('/');

class RedisCache extends CacheInterface {
  async get(key) { return JSON.parse(await redis.get(key)); }
  async has(key) { return (await redis.exists(key)) === 1; }
  async set(key, data, lifetime) { return (await redis.set(key, JSON.stringify(data), 'EX', lifetime)) === 'OK'; }
  async delete(key) { return (await redis.del(key)) === 1; }
}

const http = { baseURL: apiUrl };
const app = agent ? new Work({ corp_id: id, secret, http }) : new OfficialAccount({ app_id: id, secret, http });
app.setCache(new RedisCache());
app.getAccessToken().setKey(`node-easywechat:access_token:${agent ? `${id}.${agent}` : id}`);
app.getTicket().setKey(`node-easywechat:jsapi_ticket:${id}`);

const answers = {
  access_token: () => app.getAccessToken().getToken(),
  jsapi_ticket: () => app.getTicket().getTicket(),
  agent_ticket: () => app.getTicket().getAgentTicket(agent),
  config: (url) => app.getUtils().buildJsSdkConfig(url),
};

async function main() {
  for await (const line of readline.createInterface({ input: process.stdin })) {
    const [question, ...words] = line.split(' ');
    try {
      console.log(JSON.stringify(await answers[question](...words)));
    } catch (error) {
      console.log(JSON.stringify(error.message));
    }
  }
  redis.disconnect();
}
main();
