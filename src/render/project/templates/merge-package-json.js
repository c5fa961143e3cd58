// Adds what is missing to package.json, in its text, so that nothing else moves.
const fs = require("node:fs");
const additions = @ADDITIONS@;
const file = fs.realpathSync("package.json");
const original = fs.readFileSync(file, "utf8");
const bare = original.replace(/^\uFEFF/, "");
let text = bare;
const before = JSON.parse(text);
if (before === null || typeof before !== "object" || Array.isArray(before)) {
  throw new Error("package.json holds no JSON object");
}
const blanks = (at) => {
  while (" \t\r\n\f".includes(text[at])) at++;
  return at;
};
const endOfString = (at) => {
  for (at++; text[at] !== '"'; at++) if (text[at] === "\\") at++;
  return at + 1;
};
const endOfValue = (at) => {
  if (text[at] === '"') return endOfString(at);
  if (!"{[".includes(text[at])) {
    while (!",}] \t\r\n".includes(text[at])) at++;
    return at;
  }
  for (let depth = 0; ; ) {
    if (text[at] === '"') {
      at = endOfString(at);
      continue;
    }
    if ("{[".includes(text[at])) depth++;
    if ("}]".includes(text[at])) depth--;
    at++;
    if (depth === 0) return at;
  }
};
const scan = (start) => {
  if (text[start] !== "{") return null;
  const members = [];
  let at = blanks(start + 1);
  while (text[at] !== "}") {
    const key = [at, endOfString(at)];
    const begin = blanks(blanks(key[1]) + 1);
    const value = [begin, endOfValue(begin)];
    members.push({ name: JSON.parse(text.slice(...key)), key, value });
    at = blanks(value[1]);
    if (text[at] === ",") at = blanks(at + 1);
  }
  return { start, end: at + 1, members };
};
const member = (object, name) =>
  object.members.findLast((it) => it.name === name);
const indent = (it) => {
  const start = text.lastIndexOf("\n", it.key[0] - 1) + 1;
  const line = text.slice(start, it.key[0]);
  return start > 0 && /^[ \t]*$/.test(line) ? line : null;
};
const put = (start, end, piece) => {
  text = text.slice(0, start) + piece + text.slice(end);
};
const add = (section, pairs) => {
  const root = scan(blanks(0));
  const end = text.includes("\r\n") ? "\r\n" : "\n";
  const oneLine = !text.trim().includes("\n");
  const step = (root.members[0] && indent(root.members[0])) ?? "  ";
  const layout = (outer) =>
    oneLine
      ? { between: "", open: "", close: "", colon: ":" }
      : {
          between: end + outer + step,
          open: end + outer + step,
          close: end + outer,
          colon: ": ",
        };
  const join = (style) =>
    pairs
      .map(([name, value]) => JSON.stringify(name) + style.colon + JSON.stringify(value))
      .join("," + style.between);
  const append = (object, style, piece) => {
    const last = object.members.at(-1);
    if (last) put(last.value[1], last.value[1], "," + style.between + piece);
    else put(object.start, object.end, "{" + style.open + piece + style.close + "}");
  };
  const own = member(root, section);
  if (!own) {
    const inner = layout(step);
    const value = "{" + inner.open + join(inner) + inner.close + "}";
    const outer = layout("");
    append(root, outer, JSON.stringify(section) + outer.colon + value);
    return;
  }
  const object = scan(own.value[0]);
  if (!object) throw new Error(`"${section}" in package.json is no JSON object`);
  const last = object.members.at(-1);
  let style = layout(indent(own) ?? "");
  if (last) {
    const previous = object.members.at(-2)?.value[1] ?? object.start + 1;
    let between = text.slice(previous, last.key[0]).replaceAll(",", "");
    const at = between.lastIndexOf("\n");
    if (at >= 0) between = between.slice(between[at - 1] === "\r" ? at - 1 : at);
    else if (object.members.length === 1 && !oneLine) between = " ";
    const colon = text.slice(last.key[1], last.value[0]).replace(/^[\r\n]+|[\r\n]+$/g, "");
    style = { ...style, between, colon };
  }
  append(object, style, join(style));
};
const declared = (section, name) =>
  (section === "scripts"
    ? ["scripts"]
    : ["dependencies", "devDependencies", "peerDependencies", "optionalDependencies"]
  ).some((it) => Object.hasOwn(Object(before[it]), name));
for (const [section, pairs] of additions) {
  const missing = pairs.filter(([name]) => !declared(section, name));
  if (missing.length > 0) add(section, missing);
}
if (text !== bare) {
  const beside = `${file}.convex-new`;
  fs.writeFileSync(beside, original.slice(0, original.length - bare.length) + text);
  fs.chmodSync(beside, fs.statSync(file).mode & 0o7777);
  fs.renameSync(beside, file);
  console.log("convex:   added to package.json");
}
