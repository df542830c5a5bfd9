// An application on node-easywechat that takes tokens over HTTP: WEB_URL API_URL APPID KEY.
// Writes, as JSON, what it answers to each question that it reads.
const readline = require('node:readline');
const { OfficialAccount } = require('node-easywechat');

const [web, apiUrl, appid, key] = process.argv.slice(2);
const headers = { Authorization: `Bearer ${key}` };
let handedOut;
const getToken = async () => {
  const found = await (await fetch(`${web}/v1/credentials/${appid}/access_token`, { headers })).json();
  handedOut = found.fingerprint;
  return found.value;
};
const app = new OfficialAccount({ app_id: appid, http: { baseURL: apiUrl } });
app.setAccessToken({ getToken, toQuery: async () => ({ access_token: await getToken() }) });

const report = async () => {
  const body = JSON.stringify({ fingerprint: handedOut });
  const answer = await fetch(`${web}/v1/credentials/${appid}/access_token/reject`, { method: 'POST', headers, body });
  return answer.status === 202 ? 0 : answer.status;
};
const ANSWERS = {
  '': async () => (await app.getClient().get('/cgi-bin/user/get')).toObject().errcode ?? 0,
  access_token: () => app.getAccessToken().getToken(),
  report,
};

async function main() {
  for await (const line of readline.createInterface({ input: process.stdin })) {
    try {
      console.log(JSON.stringify(await ANSWERS[line.trim()]()));
    } catch (error) {
      console.log(JSON.stringify(String(error)));
    }
  }
}
main();
