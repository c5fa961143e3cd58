// Runs the functions of a deployment. One JSON object a line comes in on
// standard input and goes out on standard output:
//
//   {load: {modules, environment}}    what runs from now on
//   {id, call: {kind, path, args, …}} runs a function, and is answered with
//                                     {id, value} or {id, error: {message, data?}}
//   {id, http: {method, url, …}}      runs an HTTP action, and is answered with
//                                     {id, value: {status, headers, body}} or {id, error}
//   {committed: true}                 goes out whenever documents may have changed
//
// Documents live as long as this process. A load changes functions, schema and
// environment, and keeps them.

import { builtinModules } from "node:module";
import { createInterface } from "node:readline";
import vm from "node:vm";
import { convexTest, convexGlobalStorage } from "convex-test";
import { convexToJson, jsonToConvex } from "convex/values";
import { makeFunctionReference } from "convex/server";

const output = process.stdout;
const say = (message) => output.write(`${JSON.stringify(message)}\n`);
// Standard output is for answers.
globalThis.console = new console.Console(process.stderr, process.stderr);

let loaded = link({ modules: {}, environment: {} });
let backend;

/** Instantiates modules that import each other by relative paths. Nothing is evaluated before it is needed. */
function link({ modules, environment }) {
  const linked = new Map();
  const instantiate = (path) => {
    if (!linked.has(path)) {
      const module = new vm.SourceTextModule(modules[path], {
        identifier: path,
        importModuleDynamically: async (specifier, from) => evaluated(await resolve(specifier, from)),
        initializeImportMeta: (meta) => (meta.url = `convex:/${path}`),
      });
      linked.set(path, module);
    }
    return linked.get(path);
  };
  const resolve = async (specifier, { identifier }) => {
    const path = new URL(specifier, `convex:/${identifier}`).pathname.slice(1);
    if (specifier.startsWith(".") && path in modules) {
      return instantiate(path);
    }
    if (!specifier.startsWith("node:") && !builtinModules.includes(specifier)) {
      throw new Error(`Could not resolve "${specifier}", imported by "${identifier}"`);
    }
    const exported = await import(specifier);
    return new vm.SyntheticModule(Object.keys(exported), function () {
      for (const [name, value] of Object.entries(exported)) this.setExport(name, value);
    });
  };
  const evaluated = async (module) => {
    if (module.status === "unlinked") await module.link(resolve);
    await module.evaluate();
    return module.namespace;
  };
  // What modules see while they are evaluated, and functions while they run.
  process.env = { ...environment };
  return {
    paths: Object.keys(modules),
    module: async (path) => (path in modules ? await evaluated(instantiate(path)) : undefined),
  };
}

/** Puts other functions in the place of those that are there, under the documents that are there. */
async function load(what) {
  const next = link(what);
  const schema = (await next.module("schema.js"))?.default;
  // The library wants to know where the root is.
  const modules = Object.fromEntries([...next.paths, "_generated/"].map((path) => [`/${path}`, () => next.module(path)]));
  const test = convexTest(schema, modules);
  let fresh;
  await test.run(async () => void (fresh = convexGlobalStorage.getStore()));
  if (backend) {
    const { modules, db } = fresh.components[""];
    backend.root.modules = modules;
    backend.root.db._schema = db._schema;
  } else {
    const manager = fresh.transactionManager;
    const commit = manager.commit.bind(manager);
    manager.commit = (isNested) => {
      const at = commit(isNested);
      if (!isNested) say({ committed: true });
      return at;
    };
    backend = { test, root: fresh.components[""] };
  }
  return next;
}

class NotFound extends Error {}

const caller = (identity) => (identity ? backend.test.withIdentity(identity) : backend.test);

/** The function that a path names, as `module:function`; the module's default export where no function is named. */
async function find(path, allowInternal) {
  const [module, name = "default"] = path.split(":");
  const found = (await (await loaded).module(`${module.replace(/\.js$/, "")}.js`))?.[name];
  if (!(found?.isPublic || (allowInternal && found?.isInternal))) {
    throw new NotFound(`Could not find public function for '${path}'.`);
  }
  return found;
}

const kinds = { query: "isQuery", mutation: "isMutation", action: "isAction" };

async function run({ kind, path, args, identity, allowInternal, format }) {
  const found = await find(path, allowInternal);
  const defined = Object.keys(kinds).find((it) => found[kinds[it]]);
  if (kind !== "any" && kind !== defined) {
    throw new NotFound(`Trying to execute ${path} as ${kind}, but it is defined as ${defined}.`);
  }
  const name = path.replace(/\.js(:|$)/, "$1");
  const value = await caller(identity)[defined](makeFunctionReference(name), jsonToConvex(args));
  return format === "json" ? plain(value ?? null) : convexToJson(value ?? null);
}

/** Values as JSON that knows no 64-bit integers and no bytes. */
function plain(value) {
  if (typeof value === "bigint") return value.toString();
  if (value instanceof ArrayBuffer) return Buffer.from(value).toString("base64");
  if (Array.isArray(value)) return value.map(plain);
  if (value === null || typeof value !== "object") return value;
  return Object.fromEntries(Object.entries(value).map(([key, it]) => [key, plain(it)]));
}

async function answer({ method, url, headers, body, identity }) {
  const router = (await (await loaded).module("http.js")).default;
  const { pathname } = new URL(url);
  const [action] = router.lookup(pathname, method) ?? [];
  const hasBody = !["GET", "HEAD", "OPTIONS"].includes(method);
  const request = new Request(url, { method, headers, body: hasBody ? Buffer.from(body, "base64") : undefined });
  let response;
  if (action) {
    await caller(identity).action(async (ctx) => {
      response = await (action._handler ?? action)(ctx, request);
      return null;
    });
  } else {
    response = new Response(`No HttpAction routed for ${pathname}`, { status: 404 });
  }
  return {
    status: response.status,
    headers: [...response.headers],
    body: Buffer.from(await response.arrayBuffer()).toString("base64"),
  };
}

function failure(error) {
  if (error instanceof NotFound) return { message: `${error.message}\n` };
  const frames = String(error?.stack ?? "").split("\n").filter((line) => /^\s+at .*\.js:\d/.test(line) && !/file:|node:/.test(line));
  const message = error instanceof Error ? `${error.name}: ${error.message}` : String(error);
  const data = error?.data === undefined ? {} : { data: convexToJson(error.data) };
  return { message: [`Uncaught ${message}`, ...frames, ""].join("\n"), ...data };
}

const settled = (id, promise) =>
  promise.then(
    (value) => say({ id, value }),
    (error) => say({ id, error: failure(error) }),
  );

createInterface({ input: process.stdin })
  .on("line", (line) => {
    const { id, load: what, call, http } = JSON.parse(line);
    if (what) {
      loaded = load(what);
      // Each call says so.
      loaded.catch(() => {});
    } else {
      settled(id, Promise.resolve(loaded).then(() => (call ? run(call) : answer(http))));
    }
  })
  .on("close", () => process.exit(0));
