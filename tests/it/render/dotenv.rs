//! Env files, read back by bash, by npm's dotenv, by node itself and as Vite does.

use std::collections::BTreeMap;
use std::fs;
use std::path::Path;
use std::process::{Command, Stdio};

use proptest::strategy::{Strategy, ValueTree};
use proptest::test_runner::TestRunner;
use terraform_provider_convex::convex::auth_keys::{AuthKeys, KeySize};
use terraform_provider_convex::render::dotenv::{decode, encode, encode_line};

use crate::support::{compose::compose, node};

type Variables = BTreeMap<String, String>;

/// Values that some reader of env files gets wrong in some spelling.
const HOSTILE: &[&str] = &[
    "",
    " ",
    "plain",
    " leading",
    "trailing ",
    "\ttabs\t",
    "a b",
    "#",
    "#comment",
    "a #comment",
    "a#b",
    "'",
    "it's",
    "''",
    "it's #1",
    "it's \\d, isn't it",
    " it's ",
    "it's\non two lines",
    "\"",
    "\"quoted\"",
    "say \"hi\"",
    "`",
    "`id`",
    "$",
    "$$",
    "$HOME",
    "${HOME}",
    "$(id)",
    "a$b",
    "100%",
    "!",
    "!!",
    "wow!",
    "\\",
    "\\n",
    "C:\\temp\\new",
    "a\\\\b",
    "a\\\"b",
    "a\\$b",
    "\\'",
    "a\nb",
    "\n",
    "\na",
    "a\n",
    "a\nB=c",
    "a\n#b\n",
    "a\n\n\nb",
    "a\n'b'\nc",
    "\"a\"\n\"b\"",
    "a\rb",
    "a\r\nb",
    "{\"a\": \"b\\n\", \"c\": [1, 2]}",
    "{\"title\":\"don't\"}",
    "{\"keys\":[{\"use\":\"sig\",\"e\":\"AQAB\"}]}",
    "app|01d3928c09a275736a9cb269755fbb80",
    "postgres://u:p%40s@db:5432?sslmode=disable&a=b",
    "https://a.example:8443/http",
    "a&b;c|d<e>f",
    "~",
    "~/x:~/y",
    "*?[a]{b,c}",
    "a=b=c",
    "=",
    "export A=b",
    "é",
    "日本語 🎉",
    "a\u{a0}b",
    "\u{a0}",
    "\u{2028}",
    "\u{feff}a",
    "\u{1b}[31m",
    "\u{7f}",
    "-----BEGIN PRIVATE KEY-----\nMIIE==\n-----END PRIVATE KEY-----\n",
];

/// The hostile values, generated ones, and a real key; those that can be written, by name.
///
/// Every other name begins with `VITE_`, since other rules hold there.
fn variables() -> Variables {
    let mut runner = TestRunner::deterministic();
    let generated = "[ab'\"$#`\\\\!{}=\n\t é&]{0,10}";
    let generated = (0..400).map(|_| generated.new_tree(&mut runner).unwrap().current());
    let keys = AuthKeys::generate(KeySize::Rsa2048).unwrap();
    let keys = [
        keys.jwks(),
        keys.private_key_pem().expose().to_owned(),
        keys.private_key_single_line().expose().to_owned(),
    ];
    let hostile = HOSTILE.iter().map(|value| (*value).to_owned());
    let variables: Variables = hostile
        .chain(generated)
        .chain(keys)
        .enumerate()
        .flat_map(|(n, value)| {
            [
                (format!("V{n}"), value.clone()),
                (format!("VITE_{n}"), value),
            ]
        })
        .filter(|(name, value)| encode_line(name, value).is_ok())
        .collect();
    assert!(
        variables.len() > 500,
        "too much is refused: {} are left",
        variables.len()
    );
    variables
}

fn write(variables: &Variables, name: &str) -> std::path::PathBuf {
    let directory = Path::new(env!("CARGO_TARGET_TMPDIR")).join("dotenv");
    fs::create_dir_all(&directory).unwrap();
    let file = directory.join(name);
    let pairs = variables
        .iter()
        .map(|(name, value)| (name.as_str(), value.as_str()));
    fs::write(&file, encode(pairs).unwrap()).unwrap();
    file
}

fn assert_same(reader: &str, read: &Variables, written: &Variables) {
    for (name, value) in written {
        let line = encode_line(name, value).unwrap();
        assert_eq!(read.get(name), Some(value), "{reader} on {line:?}");
    }
}

#[test]
fn bash_reads_every_value_back() {
    let written = variables();
    let file = write(&written, "bash.env");
    let output = Command::new("bash")
        .args([
            "--noprofile",
            "--norc",
            "-euc",
            "set -a; source \"$1\"; exec env -0",
            "bash",
        ])
        .arg(&file)
        .env_clear()
        .env("PATH", "/usr/bin:/bin")
        .env("HOME", "/wrong")
        .stdin(Stdio::null())
        .output()
        .unwrap_or_else(|error| panic!("bash does not start ({error}); install it"));
    assert!(
        output.status.success(),
        "{}",
        String::from_utf8_lossy(&output.stderr)
    );
    let read = String::from_utf8(output.stdout).unwrap();
    let read: Variables = read
        .split_terminator('\0')
        .map(|pair| pair.split_once('=').unwrap())
        .map(|(name, value)| (name.to_owned(), value.to_owned()))
        .collect();
    assert_same("bash", &read, &written);
}

/// A script that reads the file named first with `parse` and prints all variables as JSON.
fn read_with_node(parse: &str, file: &Path, packages: &[(&str, &str)]) -> Variables {
    let script = format!(
        "import {{ readFileSync }} from 'node:fs';
         import * as util from 'node:util';
         {parse}
         console.log(JSON.stringify(parse(readFileSync(process.argv[1], 'utf8'))));"
    );
    let directory = node::npm_install(packages);
    // Variables the environment has already must not be taken for those of the file.
    let printed = node::run_node(
        &directory,
        &script,
        &[file.to_str().unwrap()],
        &[("b", "wrong")],
    );
    serde_json::from_str(&printed).unwrap()
}

const DOTENV_16: &[(&str, &str)] = &[("dotenv", "16"), ("dotenv-expand", "12")];
const DOTENV_17: &[(&str, &str)] = &[("dotenv", "17"), ("dotenv-expand", "13")];

#[test]
fn npm_dotenv_reads_every_value_back() {
    let written = variables();
    let file = write(&written, "dotenv.env");
    let parse = "import dotenv from 'dotenv'; const parse = dotenv.parse;";
    assert_same(
        "dotenv 16",
        &read_with_node(parse, &file, DOTENV_16),
        &written,
    );
    assert_same(
        "dotenv 17",
        &read_with_node(parse, &file, DOTENV_17),
        &written,
    );
}

#[test]
fn node_itself_reads_every_value_back() {
    let written = variables();
    let file = write(&written, "node.env");
    let read = read_with_node("const parse = util.parseEnv;", &file, DOTENV_17);
    assert_same("node", &read, &written);
}

/// Vite up to 7 parses with `dotenv`, Vite 8 with node's own parser; both then expand with
/// `dotenv-expand` and show only names that begin with `VITE_`.
#[test]
fn vite_reads_every_value_it_shows_back() {
    let written = variables();
    let file = write(&written, "vite.env");
    let shown: Variables = written
        .iter()
        .filter(|(name, _)| name.starts_with("VITE_"))
        .map(own)
        .collect();
    let parse = |parser: &str| {
        format!(
            "import dotenv from 'dotenv'; import {{ expand }} from 'dotenv-expand';
             const parse = (text) => {{
                 const parsed = {{ ...{parser}(text) }};
                 return expand({{ parsed, processEnv: {{ b: 'wrong' }} }}).parsed;
             }};"
        )
    };
    let read = read_with_node(&parse("dotenv.parse"), &file, DOTENV_16);
    assert_same("Vite 7", &read, &shown);
    let read = read_with_node(&parse("util.parseEnv"), &file, DOTENV_17);
    assert_same("Vite 8", &read, &shown);
}

/// Compose doubles each dollar sign in what it prints, since it may be read as a compose file.
#[test]
fn docker_compose_reads_every_value_back() {
    let written = variables();
    let file = write(&written, "compose.env");
    let directory = file.parent().unwrap();
    let text = "name: reader\nservices:\n  reader:\n    image: reader\n    env_file: compose.env\n";
    fs::write(directory.join("compose.yml"), text).unwrap();
    let output = compose(
        directory,
        &["-f", "compose.yml", "config", "--format", "json"],
    )
    .output()
    .unwrap();
    assert!(
        output.status.success(),
        "{}",
        String::from_utf8_lossy(&output.stderr)
    );
    let printed: serde_json::Value = serde_json::from_slice(&output.stdout).unwrap();
    let read = printed["services"]["reader"]["environment"]
        .as_object()
        .unwrap()
        .iter()
        .map(|(name, value)| (name.clone(), value.as_str().unwrap().replace("$$", "$")))
        .collect();
    assert_same("docker compose", &read, &written);
}

fn own((name, value): (&String, &String)) -> (String, String) {
    (name.clone(), value.clone())
}

#[test]
fn our_own_reader_reads_every_value_back() {
    let written = variables();
    let pairs = written
        .iter()
        .map(|(name, value)| (name.as_str(), value.as_str()));
    assert_eq!(decode(&encode(pairs).unwrap()).unwrap(), written);
}
