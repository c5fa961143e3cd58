// Bundles main.js with what it imports into one file: node build.js FILE

import { readFile } from "node:fs/promises";
import { build } from "esbuild";

/** Lets the main program see the state of convex-test, to put other functions under the documents that are there. */
const state = {
  name: "state",
  setup(build) {
    build.onLoad({ filter: /convex-test[\\/]dist[\\/]index\.js$/ }, async ({ path }) => ({
      contents: `${await readFile(path, "utf8")}\nexport { convexGlobalStorage };\n`,
    }));
  },
};

await build({
  entryPoints: ["main.js"],
  outfile: process.argv[2],
  bundle: true,
  platform: "node",
  format: "esm",
  target: "node18",
  plugins: [state],
  logLevel: "warning",
});
