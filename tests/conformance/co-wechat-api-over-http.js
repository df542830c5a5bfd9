// An application on co-wechat-api that takes tokens and tickets over HTTP: WEB_URL API_URL APPID KEY.
// Writes, as JSON, what it answers to each question that it reads.
const readline = require('node:readline');
const WechatAPI = require('co-wechat-api');

const [web, apiUrl, appid, key] = process.argv.slice(2);
const headers = { Authorization: `Bearer ${key}` };
const ask = async (name) => (await fetch(`${web}/v1/credentials/${appid}/${name}`, { headers })).json();
let handedOut;
const token = async () => {
  const { value, expires_at, fingerprint } = await ask('access_token');
  handedOut = fingerprint;
  return { accessToken: value, expireTime: expires_at * 1000 };
};
const ticket = async (type = 'jsapi') => {
  const { value, expires_at } = await ask(`${type}_ticket`);
  return { ticket: value, expireTime: expires_at * 1000 };
};
const api = new WechatAPI(appid, '', token, async () => {}, true);
api.registerTicketHandle(ticket, async () => {});
api.prefix = `${apiUrl}/cgi-bin/`;

const report = async () => {
  const body = JSON.stringify({ fingerprint: handedOut });
  const answer = await fetch(`${web}/v1/credentials/${appid}/access_token/reject`, { method: 'POST', headers, body });
  return answer.status === 202 ? 0 : answer.status;
};
const ANSWERS = {
  '': async () => { await api.getFollowers(); return 0; },
  access_token: async () => (await api.ensureAccessToken()).accessToken,
  jsapi_ticket: async () => (await api.ensureTicket('jsapi')).ticket,
  wx_card_ticket: async () => (await api.ensureTicket('wx_card')).ticket,
  config: async (url) => api.getJsConfig({ jsApiList: [], url }),
  report,
};

async function main() {
  for await (const line of readline.createInterface({ input: process.stdin })) {
    const [question, page] = line.split(' ');
    try {
      console.log(JSON.stringify(await ANSWERS[question](page)));
    } catch (error) {
      console.log(error.code ?? JSON.stringify(String(error)));
    }
  }
}
main();
