//! The rules that Coder's registry has for the README of a module, after its
//! `CONTRIBUTING.md` and what its `cmd/readmevalidation` refuses.

use super::read;

/// The keys that front matter may have, and whether it must.
const KEYS: [(&str, bool); 6] = [
    ("display_name", true),
    ("description", true),
    ("icon", true),
    ("verified", true),
    ("tags", true),
    ("supported_os", false),
];

const SYSTEMS: [&str; 3] = ["linux", "macos", "windows"];

const ALERTS: [&str; 5] = ["NOTE", "IMPORTANT", "CAUTION", "WARNING", "TIP"];

/// What is wrong with a README.
fn problems(readme: &str) -> Vec<String> {
    let mut found = Vec::new();
    let Some((front, body)) = readme
        .strip_prefix("---\n")
        .and_then(|rest| rest.split_once("\n---\n"))
    else {
        return vec!["no front matter between two lines ---".to_owned()];
    };
    front_matter(front, &mut found);
    let body = body.trim();
    headings(body, &mut found);
    usage(body, &mut found);
    prose(body, &mut found);
    found
}

fn front_matter(front: &str, found: &mut Vec<String>) {
    let mut seen = Vec::new();
    for line in front.lines() {
        let Some((key, value)) = line.split_once(':') else {
            found.push(format!("front matter: {line:?} is no key with a value"));
            continue;
        };
        let value = value.trim();
        let list = || -> Vec<&str> {
            let inner = value.strip_prefix('[').and_then(|it| it.strip_suffix(']'));
            let items = inner.into_iter().flat_map(|it| it.split(','));
            items.map(str::trim).collect()
        };
        seen.push(key);
        let right = match key {
            "display_name" | "description" => !value.is_empty(),
            "icon" => value.starts_with("../../../../.icons/"),
            "verified" => value == "false",
            "tags" => {
                let tags = list();
                let plain = |c: char| c.is_ascii_alphanumeric() || "-_.".contains(c);
                !tags.is_empty()
                    && tags
                        .iter()
                        .all(|tag| !tag.is_empty() && tag.chars().all(plain))
            }
            "supported_os" => {
                let systems = list();
                !systems.is_empty() && systems.iter().all(|it| SYSTEMS.contains(it))
            }
            _ => {
                found.push(format!("front matter: unknown key {key:?}"));
                continue;
            }
        };
        if !right {
            found.push(format!("front matter: {key} is {value:?}"));
        }
    }
    for (key, _) in KEYS
        .iter()
        .filter(|(key, must)| *must && !seen.contains(key))
    {
        found.push(format!("front matter: {key} is missing"));
    }
}

/// The lines of a text, each with whether it is in a block of code. A fence is.
fn lines(body: &str) -> impl Iterator<Item = (&str, bool)> {
    let mut inside = false;
    body.lines().map(move |line| {
        let is_fence = line.starts_with("```");
        let was = inside;
        inside ^= is_fence;
        (line, was || is_fence)
    })
}

fn headings(body: &str, found: &mut Vec<String>) {
    if !body.starts_with("# ") {
        found.push("the text does not begin with a heading of the first level".to_owned());
    }
    let mut level = 0;
    let mut first = 0;
    for (line, _) in lines(body).filter(|(line, code)| !code && line.starts_with('#')) {
        let own = line.chars().take_while(|c| *c == '#').count();
        first += usize::from(own == 1);
        if !line[own..].starts_with(' ') {
            found.push(format!("{line:?} has no blank after #"));
        }
        if own > level + 1 {
            found.push(format!("{line:?} leaves out a level"));
        }
        level = own;
    }
    if first != 1 {
        found.push(format!("{first} headings of the first level"));
    }
}

/// What is below the first heading and above the next.
fn usage(body: &str, found: &mut Vec<String>) {
    let next = |&(line, code): &(&str, bool)| !code && line.starts_with('#');
    let section: Vec<_> = lines(body).skip(1).take_while(|it| !next(it)).collect();
    let text: Vec<_> = section.iter().map(|(line, _)| *line).collect();
    let blocks = blocks(&text.join("\n"));
    if blocks.len() != 1 {
        found.push(format!(
            "{} blocks of usage in the first section",
            blocks.len()
        ));
    }
    for block in &blocks {
        let has = |key: &str| {
            let mut lines = block.lines().map(str::trim_start);
            lines.any(|line| {
                line.strip_prefix(key)
                    .is_some_and(|rest| rest.trim_start().starts_with('='))
            })
        };
        for key in ["source", "version"] {
            if !has(key) {
                found.push(format!("the block of usage has no {key}"));
            }
        }
        if !block.contains("\"registry.coder.com/") {
            found.push("the block of usage is not from the registry".to_owned());
        }
    }
    let is_paragraph = |(line, code): &(&str, bool)| {
        let line = line.trim();
        !code && !line.is_empty() && !line.starts_with("![") && !line.starts_with('<')
    };
    if !section.iter().any(is_paragraph) {
        found.push("no paragraph in the first section".to_owned());
    }
}

fn prose(body: &str, found: &mut Vec<String>) {
    let fences = body
        .lines()
        .filter(|line| line.trim_start().starts_with("```"));
    let fences: Vec<_> = fences.map(str::trim_start).collect();
    if fences.len() % 2 != 0 {
        found.push("a block of code does not end".to_owned());
    }
    for fence in fences {
        if ["```hcl", "```terraform"]
            .iter()
            .any(|it| fence.starts_with(it))
        {
            found.push(format!("{fence} is to be ```tf"));
        }
    }
    for (line, _) in lines(body).filter(|(_, code)| !code) {
        if line.trim_start().starts_with('|') {
            found.push(format!("a table: {line:?}"));
        }
        if let Some(alert) = line
            .strip_prefix('>')
            .map(str::trim_start)
            .filter(|it| it.starts_with("[!"))
        {
            let known = ALERTS.iter().any(|it| alert == format!("[!{it}]"));
            if !known || line != format!("> {alert}") {
                found.push(format!("{line:?} is no alert"));
            }
        }
    }
}

/// The blocks of Terraform in a text, without their fences.
pub fn blocks(text: &str) -> Vec<String> {
    let mut found = Vec::new();
    let mut block: Option<Vec<&str>> = None;
    for line in text.lines() {
        let fence = line.trim_start().strip_prefix("```");
        match (fence, &mut block) {
            (Some("tf"), None) => block = Some(Vec::new()),
            (Some(_), Some(_)) => found.extend(block.take().map(|lines| lines.join("\n"))),
            (None, Some(lines)) => lines.push(line),
            (_, None) => {}
        }
    }
    found
}

#[test]
fn the_readme_keeps_the_rules_of_the_registry() {
    let readme = read("README.md");
    assert_eq!(problems(&readme), Vec::<String>::new());
    // The version is the one that is released with the provider.
    let version = format!("\"{}\"", env!("CARGO_PKG_VERSION"));
    let mut named = readme
        .lines()
        .filter(|line| line.trim_start().starts_with("version "));
    assert!(named.all(|line| line.ends_with(&version)), "not {version}");
}

#[test]
fn each_rule_is_noticed_when_it_is_broken() {
    let readme = read("README.md");
    let once = |from: &str, to: &str| {
        assert!(readme.contains(from), "{from:?}");
        readme.replacen(from, to, 1)
    };
    let usage = "```tf\nmodule \"convex\"";
    for (broken, says) in [
        (once("---\n", ""), "no front matter"),
        (
            once("description: ", "summary: "),
            "unknown key \"summary\"",
        ),
        (once("description: ", "summary: "), "description is missing"),
        (
            once("display_name: Convex", "display_name:"),
            "display_name is \"\"",
        ),
        (
            once("../../../../.icons/", "https://example.com/"),
            "icon is",
        ),
        (
            once("verified: false", "verified: true"),
            "verified is \"true\"",
        ),
        (once("verified: false\n", ""), "verified is missing"),
        (once("[convex, ", "[con vex, "), "tags is"),
        (once("[linux]", "[plan9]"), "supported_os is"),
        (once("# Convex", "Convex"), "does not begin with a heading"),
        (
            once("## Prerequisites", "# Prerequisites"),
            "2 headings of the first level",
        ),
        (
            once("## Prerequisites", "#### Prerequisites"),
            "leaves out a level",
        ),
        (
            once("## Prerequisites", "##Prerequisites"),
            "no blank after #",
        ),
        (once(usage, "```sh\nmodule \"convex\""), "0 blocks of usage"),
        (
            once(usage, &format!("```tf\n```\n\n{usage}")),
            "2 blocks of usage",
        ),
        (
            once("  version           = \"0.1.0\"\n", ""),
            "has no version",
        ),
        (
            once("  source            =", "  sauce             ="),
            "has no source",
        ),
        (
            once("registry.coder.com/", "github.com/"),
            "not from the registry",
        ),
        (
            once(usage, &usage.replace("tf", "hcl")),
            "```hcl is to be ```tf",
        ),
        (
            once("Plans show `variables`.", "| Input | What |\n| --- | --- |"),
            "a table",
        ),
        (once("> [!WARNING]", "> [!Warning]"), "is no alert"),
        (once("> [!WARNING]", ">  [!WARNING] Mind"), "is no alert"),
        (readme.clone() + "\n```sh\n", "does not end"),
    ] {
        let found = problems(&broken);
        assert!(
            found.iter().any(|it| it.contains(says)),
            "no {says:?} in {found:?}"
        );
    }
    let (front, body) = readme.split_once("\n# Convex\n").expect("a heading");
    let bare = body.find("```tf").expect("usage");
    let no_paragraph = format!("{front}\n# Convex\n\n{}", &body[bare..]);
    let until = no_paragraph.find("`frontend_slug`").expect("a paragraph");
    let next = no_paragraph.find("## Prerequisites").expect("a section");
    let no_paragraph = format!("{}{}", &no_paragraph[..until], &no_paragraph[next..]);
    assert_eq!(
        problems(&no_paragraph),
        ["no paragraph in the first section"]
    );
}
