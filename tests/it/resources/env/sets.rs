//! Any set of variables comes out as it went in.
//!
//! What comes out is what `convex run --watch` of the real command line prints
//! of the query that `convex env list` asks. Unlike `env list`, which writes
//! lines of an env file and warns that some values do not survive it, it
//! prints JSON. It runs once for each deployment, stays connected, and prints
//! the variables whenever they have changed: so it also tells that nobody ever
//! sees half of a change.

use std::{
    collections::BTreeMap,
    process::{Child, Stdio},
    sync::mpsc::{Receiver, RecvTimeoutError, channel},
    time::{Duration, Instant},
};

use proptest::{
    prelude::*,
    strategy::ValueTree,
    test_runner::{Config, RngAlgorithm, TestRng, TestRunner},
};
use serde_json::{Value as Json, json};
use unicode_normalization::UnicodeNormalization;

use super::{Cli, config};
use crate::support::{
    docker::{Name, images, port},
    terraform::{Core, Project},
};

/// Another set of sets: `CONVEX_TEST_SEED=7 cargo test …`.
const SEED: u64 = 1;

/// Limits of a backend, in bytes.
const LONGEST_VALUE: usize = 8192;
const LARGEST_SET: usize = 524_288;

/// Variables by name.
type Set = BTreeMap<String, String>;

/// Values that have broken something somewhere.
const HOSTILE: &[&str] = &[
    "",
    " ",
    "-x",
    "--",
    "\n",
    "\r\n",
    "\\",
    "\\n",
    "\"",
    "'",
    "`id`",
    "$HOME ${HOME} $${HOME} $(id)",
    "${var.x} %{ if true }",
    "%s %00 %0a",
    "#x",
    "a=b",
    "null",
    "\"quoted\"",
    "'quoted'",
    "a'b\"c\nd\\ne#f\r",
    "{\"a\":[1,\"\\\"\"]}",
    "\t\u{b}\u{c}\u{1}\u{7f}",
    "\u{feff}bom",
    "\u{2028}\u{2029}",
    "e\u{301} \u{e9} \u{212b} \u{fb01}",
    "\u{1f469}\u{200d}\u{1f4bb}",
    "\u{202e}abc",
    "\u{ffff}\u{10ffff}",
    // Two halves of a letter of Unicode 16.
    "\u{113c2}\u{113c2}",
    "-----BEGIN PRIVATE KEY-----\nMIIE\n-----END PRIVATE KEY-----\n",
    "@/etc/passwd",
    "</script>",
];

/// A text that a backend takes, in the form in which Terraform hands over every
/// text: composed.
fn composed(text: &str, most: usize) -> String {
    let text: String = text.nfc().filter(|c| *c != '\0').collect();
    let end = text.floor_char_boundary(most);
    text[..end].to_owned()
}

fn value() -> BoxedStrategy<String> {
    prop_oneof![
        3 => proptest::sample::select(HOSTILE).prop_map(str::to_owned),
        4 => any::<String>(),
        2 => "[ -~\n\"'\\\\$#]{0,80}",
        1 => ".{1,600}",
        1 => "[\u{300}-\u{340}a-zA-Zéü]{0,40}",
    ]
    .prop_map(|text| composed(&text, LONGEST_VALUE))
    .boxed()
}

fn name() -> BoxedStrategy<String> {
    prop_oneof![
        8 => "[A-Za-z_][A-Za-z0-9_]{0,24}",
        1 => "[A-Z]{256}",
        1 => proptest::sample::select(&["__proto__", "constructor", "PATH", "_", "a", "A"][..])
            .prop_map(str::to_owned),
    ]
    .boxed()
}

fn filled(size: std::ops::Range<usize>) -> BoxedStrategy<Set> {
    proptest::collection::btree_map(name(), value(), size).boxed()
}

/// 512 names, the most there may be.
fn many() -> BoxedStrategy<Set> {
    let values = proptest::collection::vec(value(), 512);
    let numbered = |values: Vec<String>| {
        let short = values.iter().map(|value| composed(value, 900));
        short
            .enumerate()
            .map(|(n, value)| (format!("V{n:03}"), value))
            .collect()
    };
    values.prop_map(numbered).boxed()
}

/// As many bytes as there may be.
fn large() -> BoxedStrategy<Set> {
    let letters = prop_oneof![Just("x"), Just("é"), Just("\u{1f4bb}"), Just("\"")];
    letters
        .prop_map(|letter| {
            let mut set = Set::new();
            let mut room = LARGEST_SET;
            for n in 0.. {
                let name = format!("V{n:03}");
                let Some(rest) = room.checked_sub(name.len()).filter(|rest| *rest > 0) else {
                    break;
                };
                let value = composed(&letter.repeat(LONGEST_VALUE), rest.min(LONGEST_VALUE));
                room -= name.len() + value.len();
                set.insert(name, value);
            }
            set
        })
        .boxed()
}

fn set() -> BoxedStrategy<Set> {
    prop_oneof![
        20 => filled(0..12),
        4 => filled(40..80),
        1 => many(),
        1 => large(),
    ]
    .boxed()
}

fn runner(seed: u64) -> TestRunner {
    let mut bytes = [0; 32];
    bytes[..8].copy_from_slice(&seed.to_le_bytes());
    let random = TestRng::from_seed(RngAlgorithm::ChaCha, &bytes);
    TestRunner::new_with_rng(Config::default(), random)
}

/// Each variable in one of the three ways there are to declare it, and every
/// second text in its decomposed form, which Terraform composes. That is left
/// alone where it has characters that may be newer than Terraform's tables.
fn declared(set: &Set) -> Json {
    let mut ways = [Set::new(), Set::new(), Set::new()];
    for (number, (name, value)) in set.iter().enumerate() {
        let settled = value.chars().all(|c| c < '\u{2000}');
        let value = match number % 2 {
            1 if settled => value.nfd().collect(),
            _ => value.clone(),
        };
        ways[number % 3].insert(name.clone(), value);
    }
    let [variables, secrets, written] = ways;
    json!({ "variables": variables, "secrets": secrets, "written": written })
}

/// JSON in ASCII. Terraform's own reader of JSON takes a quote and an accent
/// after it for one character.
fn ascii(json: &Json) -> String {
    let mut text = String::new();
    for character in json.to_string().chars() {
        if character.is_ascii() {
            text.push(character);
        } else {
            for unit in character.encode_utf16(&mut [0; 2]) {
                text.push_str(&format!("\\u{unit:04x}"));
            }
        }
    }
    text
}

/// The command line, printing the variables of one deployment whenever they
/// change.
struct Watch {
    command: Child,
    printed: Receiver<Set>,
}

impl Watch {
    fn start(cli: &Cli) -> Self {
        let mut command = cli
            .command(&[
                "run",
                "--watch",
                "_system/cli/queryEnvironmentVariables:default",
            ])
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .spawn()
            .expect("the command line starts");
        let stdout = command.stdout.take().expect("piped");
        let (sender, printed) = channel();
        std::thread::spawn(move || {
            let text = |json: &Json| json.as_str().expect("text").to_owned();
            for list in serde_json::Deserializer::from_reader(stdout).into_iter::<Vec<Json>>() {
                let Ok(list) = list else { break };
                let pairs = list
                    .iter()
                    .map(|it| (text(&it["name"]), text(&it["value"])));
                if sender.send(pairs.collect()).is_err() {
                    break;
                }
            }
        });
        Self { command, printed }
    }

    /// What it prints next.
    fn next(&self) -> Set {
        let printed = self.printed.recv_timeout(Duration::from_mins(1));
        printed.expect("the command line prints the variables")
    }

    /// Demands that it has nothing more to say.
    fn is_silent(&self) {
        let more = self.printed.recv_timeout(Duration::ZERO);
        assert_eq!(more.err(), Some(RecvTimeoutError::Timeout));
    }
}

impl Drop for Watch {
    fn drop(&mut self) {
        let _ = self.command.kill();
        let _ = self.command.wait();
    }
}

/// Deployments, every second one spoken to by its URL, the others through their
/// containers.
fn blocks(names: &[Name]) -> String {
    let deployments: String = names
        .iter()
        .map(|name| format!("    {:?} = {}\n", name.as_str(), port()))
        .collect();
    format!(
        r#"
        variable "sets" {{
          type = map(object({{ variables = map(string), secrets = map(string), written = map(string) }}))
        }}
        locals {{
          ports = {{
        {deployments}
          }}
          by_url = {{ for number, name in keys(local.ports) : name => number % 2 == 1 }}
        }}
        resource "convex_deployment" "all" {{
          for_each  = local.ports
          name      = each.key
          backend   = {{ image = {image:?} }}
          dashboard = {{ enabled = false }}
          volume    = {{ on_destroy = "delete" }}
          network   = {{ publish = {{ api = each.value }} }}
        }}
        resource "convex_env" "all" {{
          for_each   = local.by_url
          deployment = each.value ? null : convex_deployment.all[each.key].id
          url        = each.value ? convex_deployment.all[each.key].urls.api : null
          admin_key  = each.value ? convex_deployment.all[each.key].admin_key : null
          variables  = var.sets[each.key].variables
          secrets = merge(
            {{ for name, value in var.sets[each.key].secrets : name => {{ value = value, value_wo = null }} }},
            {{ for name, value in var.sets[each.key].written : name => {{ value = null, value_wo = value }} }},
          )
        }}
        output "keys" {{
          value     = {{ for name, it in convex_deployment.all : name => it.admin_key }}
          sensitive = true
        }}
        output "urls" {{
          value = {{ for name, it in convex_deployment.all : name => it.urls.api }}
        }}
        "#,
        image = images().backend,
    )
}

fn seed() -> u64 {
    std::env::var("CONVEX_TEST_SEED").map_or(SEED, |it| it.parse().expect("a number"))
}

/// Gives each of some deployments a set of variables, several times. Returns
/// how much that was.
fn round_trips(core: Core, seed: u64, deployments: usize, rounds: usize) -> String {
    let started = Instant::now();
    let mut runner = runner(seed);
    let mut names: Vec<_> = (0..deployments).map(|_| Name::new()).collect();
    names.sort_by(|one, other| one.as_str().cmp(other.as_str()));
    let project = Project::new(core, &config(&blocks(&names)));
    let give = |sets: &[Set]| {
        let by_name: BTreeMap<_, _> = names.iter().map(Name::as_str).zip(sets).collect();
        let sets: BTreeMap<_, _> = by_name.iter().map(|(n, set)| (n, declared(set))).collect();
        project.write("sets.auto.tfvars.json", &ascii(&json!({ "sets": sets })));
    };
    give(&vec![Set::new(); deployments]);
    project.apply().ok();
    let (keys, urls) = (project.output("keys"), project.output("urls"));
    let watches: Vec<_> = names
        .iter()
        .map(|name| {
            let of = |output: &Json| output[name.as_str()].as_str().expect("text").to_owned();
            Watch::start(&Cli::at(&of(&urls), &of(&keys)))
        })
        .collect();
    for watch in &watches {
        assert_eq!(watch.next(), Set::new());
    }
    let (mut variables, mut bytes, mut fullest) = (0, 0, 0);
    let mut last = vec![Set::new(); deployments];
    for round in 0..rounds {
        let mut draw = || set().new_tree(&mut runner).expect("a set").current();
        let mut sets: Vec<_> = (0..deployments).map(|_| draw()).collect();
        // Nothing is printed where nothing changes.
        for (set, last) in sets.iter_mut().zip(&last) {
            if set == last {
                set.insert("ROUND".to_owned(), round.to_string());
            }
        }
        give(&sets);
        project.apply().ok();
        project.assert_no_changes();
        for ((watch, name), set) in watches.iter().zip(&names).zip(&sets) {
            let read = watch.next();
            let place = format!("seed {seed}, round {round}, {}", name.as_str());
            let differing = set
                .iter()
                .find(|(name, value)| read.get(*name) != Some(value));
            assert_eq!(
                differing,
                None,
                "{place}: read as {:?}",
                differing.map(|it| read.get(it.0))
            );
            assert_eq!(read.len(), set.len(), "{place}");
            watch.is_silent();
            variables += set.len();
            bytes += set
                .iter()
                .map(|(name, value)| name.len() + value.len())
                .sum::<usize>();
            fullest = fullest.max(set.len());
        }
        last = sets;
    }
    drop(watches);
    project.destroy().ok();
    format!(
        "measured: {} sets with {variables} variables (at most {fullest} in one) and {bytes} bytes came back as they were, in {} s",
        deployments * rounds,
        started.elapsed().as_secs()
    )
}

#[test]
fn two_hundred_sets_come_back_as_they_were() {
    let seed = seed();
    println!("CONVEX_TEST_SEED={seed}");
    println!("{}", round_trips(Core::Installed, seed, 10, 20));
}

#[test]
fn sets_come_back_as_they_were_on_terraform_1_15() {
    let seed = seed();
    println!("CONVEX_TEST_SEED={seed}");
    println!("{}", round_trips(Core::V1_15, seed, 6, 1));
}
