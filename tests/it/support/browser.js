// A person in front of the page: signs up, reloads, signs out and in. Prints
// what happened as JSON, {signed: [...], closed: N} or {stuck: …, …}.
//
// PAGE, CHROMIUM and WAIT_MS say where, with what, and for how long to wait for
// each step. With LOGIN, a JSON object of hosts and addresses, these hosts lead
// to a proxy that asks for a login before anything else. With COOKIE the person
// has a cookie already, and hosts below a domain are at an address: HOSTS is
// "*.domain address", at whatever port.
import { createServer, request } from "node:http";
import { connect } from "node:net";
import { chromium } from "playwright-core";

const { PAGE, CHROMIUM, WAIT_MS, LOGIN, COOKIE, HOSTS, EMAIL } = process.env;
const password = "correct horse battery";
const wait = { timeout: Number(WAIT_MS) };
const end = Date.now() + wait.timeout;

/** Asks for a login at every host, and leads those who have logged in to what is behind it. */
function proxy(hosts, port) {
  const behind = ({ headers }) => new URL(hosts[headers.host?.split(":")[0]] ?? "http://nowhere.invalid");
  const knows = ({ headers }) => /\bsession=yes\b/.test(headers.cookie ?? "");
  const cors = ({ headers }) => (headers.origin ? { "access-control-allow-origin": headers.origin } : {});
  const server = createServer((asked, answer) => {
    const url = new URL(asked.url, `http://${asked.headers.host}`);
    if (url.pathname === "/login") {
      const domain = url.hostname.split(".").slice(1).join(".");
      const back = url.searchParams.get("back") ?? "/";
      answer.writeHead(200, { "content-type": "text/html", "set-cookie": `session=yes; Domain=${domain}; Path=/` });
      return answer.end(`<button onclick="location.href = '${back}'">Log in</button>`);
    }
    if (!knows(asked)) {
      return answer.writeHead(303, { location: `/login?back=${encodeURIComponent(url.href)}` }).end();
    }
    const to = behind(asked);
    const forwarded = request(to, { method: asked.method, path: asked.url, headers: asked.headers }, (reply) => {
      answer.writeHead(reply.statusCode, { ...reply.headers });
      reply.pipe(answer);
    });
    forwarded.on("error", () => answer.writeHead(502).end());
    asked.pipe(forwarded);
  });
  server.on("upgrade", (asked, client) => {
    if (!knows(asked)) return client.end("HTTP/1.1 303 See Other\r\nlocation: /login\r\nconnection: close\r\n\r\n");
    const { hostname, port } = behind(asked);
    const server = connect(Number(port), hostname, () => {
      const headers = asked.rawHeaders.map((it, index) => it + (index % 2 ? "\r\n" : ": ")).join("");
      server.write(`GET ${asked.url} HTTP/1.1\r\n${headers}\r\n`);
      server.pipe(client).pipe(server);
    });
    for (const socket of [client, server]) socket.on("error", () => client.destroy());
  });
  return new Promise((done) => server.listen(port, "127.0.0.1", () => done(server)));
}

const login = LOGIN ? JSON.parse(LOGIN) : undefined;
const server = login && (await proxy(login, Number(new URL(PAGE).port)));
const rules = Object.keys(login ?? {}).map((host) => `MAP ${host} 127.0.0.1`);
if (HOSTS) rules.push(`MAP ${HOSTS}`);
const browser = await chromium.launch({
  executablePath: CHROMIUM,
  args: ["--no-sandbox", "--disable-gpu", ...(rules.length ? [`--host-resolver-rules=${rules.join(",")}`] : [])],
});
const context = await browser.newContext();
if (COOKIE) await context.addCookies([JSON.parse(COOKIE)]);
const page = await context.newPage();
const report = { signed: [], closed: 0 };
page.on("websocket", (socket) => socket.url().includes("/sync") && socket.on("close", () => report.closed++));
const failed = [];
page.on("requestfailed", (it) => failed.push(`${it.method()} ${it.url()}: ${it.failure()?.errorText}`));

const click = (name) => page.getByRole("button", { name, exact: true }).click(wait);
const fill = async (email) => {
  await page.getByPlaceholder("Email").fill(email, wait);
  await page.getByPlaceholder("Password").fill(password, wait);
};
const steps = {
  in: async () => {
    await page.goto(PAGE, wait);
    if (login) await click("Log in");
    // Vite's server may bundle the packages anew while the page loads, and then the page stays empty.
    const form = page.getByPlaceholder("Email");
    while (!(await form.waitFor({ timeout: wait.timeout / 4 }).then(() => true, () => false))) {
      await page.reload(wait);
      if (Date.now() > end) throw new Error("the page stays empty");
    }
  },
  up: async () => {
    await click("New here?");
    await fill(EMAIL);
    await click("Sign up");
    const told = page.getByText(`Signed in as ${EMAIL}`);
    // A token that is refused ends the connection, however long that takes.
    const refused = async () => {
      while (report.closed === 0) await page.waitForTimeout(100);
      await page.waitForTimeout(3000);
      return !(await told.isVisible());
    };
    if (await Promise.race([told.waitFor(wait).then(() => false), refused()])) {
      throw new Error("the connection ends, and nobody is signed in");
    }
  },
  "with a task": async () => {
    await page.getByPlaceholder("What is to be done?").fill("write", wait);
    await click("Add");
    await page.getByText("write", { exact: true }).waitFor(wait);
  },
  "in after a reload": async () => {
    await page.reload(wait);
    await page.getByText(`Signed in as ${EMAIL}`).waitFor(wait);
    await page.getByText("write", { exact: true }).waitFor(wait);
    // The token is renewed after that.
    await page.waitForTimeout(1000);
    await page.getByText(`Signed in as ${EMAIL}`).waitFor(wait);
  },
  out: async () => {
    await click("Sign out");
    await page.getByPlaceholder("Email").waitFor(wait);
  },
  "in again": async () => {
    await fill(EMAIL);
    await click("Sign in");
    await page.getByText(`Signed in as ${EMAIL}`).waitFor(wait);
    await page.getByText("write", { exact: true }).waitFor(wait);
  },
};
try {
  for (const [name, step] of Object.entries(steps)) {
    await step();
    if (name !== "in") report.signed.push(name);
  }
} catch (error) {
  report.stuck = error.message.split("\n")[0];
  report.failed = failed.slice(-5);
  report.page = await page.locator("body").innerText().catch(() => "");
}
console.log(JSON.stringify(report));
await browser.close();
server?.close();
server?.closeAllConnections();
