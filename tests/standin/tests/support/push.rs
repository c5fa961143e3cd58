//! Functions that tests push, bundled as the command line does, and how.

use serde_json::{Value, json};

use super::backend::Backend;
use super::http::{Reply, send};

pub const DISCOVERY: &str = "/.well-known/openid-configuration";
pub const KEYS: &str = "/.well-known/jwks.json";

pub const AUTH_CONFIG: &str = r#"export default { providers: [{ domain: process.env.CONVEX_SITE_URL, applicationID: "convex" }] };"#;

/// What the npm package makes of `query({ handler })` and its like.
const LIBRARY: &str = r#"
export const define = (kind, handler, visibility = "isPublic") => ({
  [kind]: true, [visibility]: true, _handler: handler,
  exportArgs: () => '{"type":"any"}', exportReturns: () => "null",
});
"#;

const TASKS: &str = r#"
import { define } from "./_deps/A.js";
export const list = define("isQuery", async (ctx) => (await ctx.db.query("tasks").collect()).map((it) => it.title));
export const add = define("isMutation", (ctx, { title }) => ctx.db.insert("tasks", { title }));
export const secret = define("isMutation", () => "no secret", "isInternal");
export const variable = define("isAction", (ctx, { name }) => process.env[name]);
export const me = define("isQuery", (ctx) => ctx.auth.getUserIdentity());
export const values = define("isQuery", () => ({ integer: 7n, bytes: new Uint8Array([1, 2]).buffer }));
export const fail = define("isMutation", async (ctx) => {
  await ctx.db.insert("tasks", { title: "not kept" });
  const error = new Error("too bad");
  error.data = { reason: "none" };
  error[Symbol.for("ConvexError")] = true;
  throw error;
});
export const end = define("isAction", () => process.exit(1));
"#;

/// Answers as an app with a token issuer does. Variables make it an issuer of another name or a page, and say how long its
/// documents may be kept.
const HTTP: &str = r#"
const json = (text) => new Response(text, {
  headers: { "content-type": process.env.KIND ?? "application/json", "cache-control": `max-age=${process.env.AGE ?? 15}` },
});
const required = (name) => {
  if (process.env[name] === undefined) throw new Error(`Missing environment variable ${name}`);
  return process.env[name];
};
const site = process.env.CONVEX_SITE_URL;
const routes = {
  "GET /.well-known/openid-configuration": () =>
    json(JSON.stringify({ issuer: process.env.ISSUER ?? site, jwks_uri: `${site}/.well-known/jwks.json` })),
  "GET /.well-known/jwks.json": () => json(required("JWKS")),
  "POST /echo": async (ctx, request) =>
    new Response(await request.text(), {
      status: 201,
      headers: [["set-cookie", "a=1"], ["set-cookie", "b=2"], ["x-url", request.url], ["x-kind", request.headers.get("x-kind")]],
    }),
};
export default {
  lookup: (path, method) => {
    const route = routes[`${method === "HEAD" ? "GET" : method} ${path}`];
    return route ? [route] : null;
  },
};
"#;

/// An app that signs users in.
pub fn app(auth_config: &str) -> Vec<Value> {
    [
        ("auth.config.js", auth_config),
        ("http.js", HTTP),
        ("tasks.js", TASKS),
        ("_deps/A.js", LIBRARY),
    ]
    .map(|(path, source)| json!({ "path": path, "source": source, "environment": "isolate" }))
    .to_vec()
}

pub fn key(backend: &Backend) -> &str {
    backend.key.strip_prefix("Convex ").unwrap()
}

pub fn request(key: &str, changed: &[Value], unchanged: &Value) -> Value {
    json!({
        "adminKey": key,
        "dryRun": false,
        "functions": "convex/",
        "appDefinition": {
            "definition": null,
            "dependencies": [],
            "schema": null,
            "changedModules": changed,
            "unchangedModuleHashes": unchanged,
            "udfServerVersion": "1.48.0",
        },
        "componentDefinitions": [],
        "nodeDependencies": [],
    })
}

pub fn start_push(backend: &Backend, modules: &[Value]) -> Reply {
    let body = request(key(backend), modules, &json!([]));
    backend.post("/api/deploy2/start_push", &body)
}

pub fn finish_push(backend: &Backend, started: &Reply, dry_run: bool) -> Reply {
    let body = json!({ "adminKey": key(backend), "startPush": started.json(), "dryRun": dry_run });
    backend.post("/api/deploy2/finish_push", &body)
}

pub fn push(backend: &Backend, modules: &[Value]) -> Value {
    let started = start_push(backend, modules);
    assert_eq!(started.status, 200, "{}", started.body);
    let finished = finish_push(backend, &started, false);
    assert_eq!(finished.status, 200, "{}", finished.body);
    finished.json()
}

pub fn site(backend: &Backend, method: &str, path: &str) -> Reply {
    send(backend.site, method, path, &[], None).unwrap()
}
