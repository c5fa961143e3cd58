// Takes text files into the deployment, for rag:search to find:
//
//   node scripts/generate-embeddings.mjs docs/*.md
//
// The deployment needs the variables OPENAI_API_KEY and ENABLE_RAG=true, and
// its functions must have been deployed.
import { execFileSync } from "node:child_process";
import { existsSync, readFileSync } from "node:fs";

const files = process.argv.slice(2);
if (files.length === 0) {
  console.error("usage: node scripts/generate-embeddings.mjs FILE…");
  process.exit(2);
}
const target =
  !process.env.CONVEX_SELF_HOSTED_ADMIN_KEY && existsSync(".env.convex.local")
    ? ["--env-file", ".env.convex.local"]
    : [];
for (const file of files) {
  const document = { title: file, text: readFileSync(file, "utf8") };
  console.log(file);
  execFileSync(
    "npx",
    ["convex", "run", ...target, "rag:ingest", JSON.stringify(document)],
    { stdio: "inherit" },
  );
}
