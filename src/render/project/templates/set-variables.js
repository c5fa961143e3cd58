// Gives the deployment those variables of this environment that it does not have
// with the same value, in one request. Ends with 3 if there is no value for one.
const names = process.argv.slice(2);
const { CONVEX_SELF_HOSTED_ADMIN_KEY: key, ...environment } = process.env;
const url = environment.CONVEX_SELF_HOSTED_URL.replace(/\/+$/, "");
const { request } = require(url.startsWith("https:") ? "https" : "http");
const ask = (method, path, body) =>
  new Promise((resolve, reject) => {
    const headers = { Authorization: `Convex ${key}`, "Content-Type": "application/json" };
    const sent = request(url + path, { method, headers, timeout: 60_000 }, (reply) => {
      const parts = [];
      reply.on("data", (part) => parts.push(part));
      reply.on("error", reject);
      reply.on("end", () =>
        resolve({ status: reply.statusCode, text: Buffer.concat(parts).toString() }),
      );
    });
    sent.on("timeout", () => sent.destroy(new Error("no answer within 60 s")));
    sent.on("error", reject);
    sent.end(body);
  });
// The text of a refusal may have a value in it, its code has none.
const refuse = ({ status, text }) => {
  let code = "";
  try {
    code = ` (${JSON.parse(text).code})`;
  } catch {}
  throw new Error(
    status === 401 || status === 403
      ? "the backend does not accept CONVEX_SELF_HOSTED_ADMIN_KEY"
      : `the backend answers with status ${status}${code}; nothing was set`,
  );
};
const run = async () => {
  const listed = await ask("GET", "/api/list_environment_variables");
  if (listed.status !== 200) refuse(listed);
  const present = JSON.parse(listed.text).environmentVariables;
  const changes = [];
  for (const name of names) {
    const value = environment[name];
    if (value) {
      if (present[name] !== value) changes.push({ name, value });
      continue;
    }
    const problem = `${name} is ${value === undefined ? "not set" : "empty"} in this environment`;
    if (Object.hasOwn(present, name)) {
      console.log(`convex:   ${problem}: the deployment keeps the value it has`);
    } else {
      console.error(`convex:   ${problem}, and the deployment has no value for it`);
      process.exitCode = 3;
    }
  }
  if (changes.length === 0) return;
  const body = JSON.stringify({ changes });
  let set = await ask("POST", "/api/update_environment_variables", body);
  // Others change variables at the same time.
  for (let again = 1; set.status === 503 && again < 5; again++) {
    await new Promise((resolve) => setTimeout(resolve, again * 1000));
    set = await ask("POST", "/api/update_environment_variables", body);
  }
  if (set.status !== 200) refuse(set);
  console.log(`convex:   set: ${changes.map(({ name }) => name).join(", ")}`);
};
run().catch((error) => {
  console.error(`convex:   ${error.message}`);
  process.exitCode = 1;
});
