//! The tested set is recent, and everything that names one of its parts names the same.

use std::{
    fs,
    path::{Path, PathBuf},
    time::{SystemTime, UNIX_EPOCH},
};

use terraform_provider_convex::{
    convex::tested::{CONVEX, CONVEX_AUTH, NODE, NODE_IN_WORDS, NPM_RUN_ALL, RELEASE, RELEASES},
    render::project::node::is_supported,
};

/// Convex releases about every two weeks; after this many days users meet faults that are mended.
const MAX_AGE_IN_DAYS: i64 = 120;

const RENEWAL: &str = "To renew the tested set:
1. Find the newest revision that is a tag of both ghcr.io/get-convex/convex-backend and \
   ghcr.io/get-convex/convex-dashboard, with its day, and its DATABASE_VERSION in \
   crates/migrations_model/src/lib.rs of get-convex/convex-backend.
2. In src/convex/tested.rs, make it RELEASE, and give the release before it a line of its own in \
   RELEASES. Look whether newer versions of the packages suit it, and which Node.js they need.
3. Run the workflow \"official images\" (.github/workflows/official-images.yml) with that tag.
4. Run this test again, change each file that it names, and write docs anew: .ci/docs";

/// The day's number since 1970 (Howard Hinnant's `days_from_civil`).
fn number(day: &str) -> i64 {
    let numbers: Vec<i64> = day.split('-').map(|it| it.parse().unwrap()).collect();
    let [year, month, day] = numbers[..] else {
        panic!("{day} is not a day")
    };
    let year = year - i64::from(month <= 2);
    let of_year = (153 * ((month + 9) % 12) + 2) / 5 + day - 1;
    365 * year + year / 4 - year / 100 + year / 400 + of_year - 719_468
}

#[test]
fn the_tested_set_is_recent() {
    assert_eq!(number("1970-01-01"), 0);
    assert_eq!(number("2026-11-28"), 20_785);
    let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap();
    let age = i64::try_from(now.as_secs() / 86_400).unwrap() - number(RELEASE.day);
    assert!(
        age <= MAX_AGE_IN_DAYS,
        "The pinned release of Convex, {}, is {age} days old; at most {MAX_AGE_IN_DAYS} are \
         allowed.\n{RENEWAL}",
        RELEASE.day
    );
}

#[test]
fn the_known_releases_are_in_order_and_end_with_the_pinned_one() {
    assert_eq!(RELEASES.last(), Some(&RELEASE));
    for it in RELEASES {
        assert!(
            is_revision(it.revision),
            "{} is not a revision",
            it.revision
        );
    }
    for pair in RELEASES.windows(2) {
        assert!(number(pair[0].day) < number(pair[1].day), "{pair:?}");
    }
    let schemas: Vec<_> = RELEASES.iter().filter_map(|it| it.schema).collect();
    assert!(schemas.is_sorted(), "{schemas:?}");
}

#[test]
fn all_that_names_the_tested_set_names_the_same() {
    let mut wrong = Vec::new();
    let mut named = 0;
    for (path, text) in texts() {
        let words = text.split(|c: char| !c.is_ascii_alphanumeric());
        for revision in words.filter(|it| is_revision(it)) {
            named += 1;
            if revision != RELEASE.revision {
                wrong.push(format!("{path}: revision {revision}"));
            }
        }
        for (_, rest) in text
            .match_indices("Node.js ")
            .map(|(at, it)| text.split_at(at + it.len()))
        {
            let rest = rest.trim_start_matches('(');
            if rest.starts_with(|c: char| c.is_ascii_digit()) && !rest.starts_with(NODE_IN_WORDS) {
                let line = rest.lines().next().unwrap_or_default();
                wrong.push(format!("{path}: Node.js {line}"));
            }
        }
    }
    let of_standin = read(&root().join("tests/standin/functions/package.json"));
    let patch = CONVEX.trim_start_matches('~').trim_end_matches('0');
    if !of_standin.contains(&format!("\"convex\": \"{patch}")) {
        wrong.push(format!(
            "tests/standin/functions/package.json: convex is not {CONVEX}"
        ));
    }
    let page = "tests/tools/tfplugindocs/templates/guides/compatibility.md.tmpl";
    let text = read(&root().join(page));
    for part in [
        RELEASE.day,
        CONVEX,
        CONVEX_AUTH,
        NPM_RUN_ALL,
        NODE,
        NODE_IN_WORDS,
    ] {
        if !text.contains(part) {
            wrong.push(format!("{page}: no {part}"));
        }
    }
    assert!(
        wrong.is_empty(),
        "These do not name the tested set (revision {}, Node.js {NODE_IN_WORDS}):\n{}\n{RENEWAL}",
        RELEASE.revision,
        wrong.join("\n")
    );
    assert!(named > 0, "no file names the pinned release");
}

#[test]
fn the_range_of_node_is_the_same_in_all_its_forms() {
    // `^20.19.0 || >=22.12.0`
    for floor in NODE.split(" || ") {
        let floor = floor.trim_start_matches(['^', '>', '=']);
        assert_eq!(is_supported(floor), Some(true), "{floor}");
        let (minor, _) = floor.rsplit_once('.').unwrap();
        assert!(NODE_IN_WORDS.contains(minor), "{minor}");
        let (major, minor) = minor.split_once('.').unwrap();
        let below = minor.parse::<u32>().unwrap() - 1;
        assert_eq!(is_supported(&format!("{major}.{below}.0")), Some(false));
    }
}

fn is_revision(text: &str) -> bool {
    text.len() == 40 && text.bytes().all(|b| matches!(b, b'0'..=b'9' | b'a'..=b'f'))
}

fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

fn read(path: &Path) -> String {
    fs::read_to_string(path).unwrap_or_else(|error| panic!("{}: {error}", path.display()))
}

/// What users read, run or copy, by its path. The generated docs are held to their sources elsewhere.
fn texts() -> Vec<(String, String)> {
    fn walk(path: &Path, found: &mut Vec<PathBuf>) {
        if path.is_file() {
            let kinds = ["tf", "hcl", "md", "tmpl", "sh", "yml", "json", "ts"];
            let kind = path.extension().and_then(|it| it.to_str());
            if kind.is_none_or(|it| kinds.contains(&it)) {
                found.push(path.to_owned());
            }
            return;
        }
        for entry in fs::read_dir(path).unwrap() {
            let entry = entry.unwrap();
            let name = entry.file_name();
            let is_hidden = name.to_string_lossy().starts_with('.');
            // It is about all that upstream has.
            let is_other = name == "node_modules" || name == "upstream.md.tmpl";
            if !is_hidden && !is_other {
                walk(&entry.path(), found);
            }
        }
    }
    let mut paths = Vec::new();
    for place in [
        "README.md",
        "examples",
        "terraform",
        "tests/tools/tfplugindocs/templates",
        "src/render/project/templates",
    ] {
        walk(&root().join(place), &mut paths);
    }
    let name = |path: &Path| path.strip_prefix(root()).unwrap().display().to_string();
    paths.iter().map(|it| (name(it), read(it))).collect()
}
