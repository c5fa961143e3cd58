//! The commands of the program, as a person meets them.

use std::process::Command;

use crate::support::binaries;

/// Exit code, standard output and standard error of the program.
fn run(arguments: &[&str]) -> (Option<i32>, String, String) {
    let output = Command::new(binaries::provider())
        .args(arguments)
        .env_clear()
        .output()
        .expect("the program starts");
    let text = |bytes: Vec<u8>| String::from_utf8(bytes).expect("text");
    (
        output.status.code(),
        text(output.stdout),
        text(output.stderr),
    )
}

#[test]
fn each_command_prints_its_own_help() {
    let (_, general, _) = run(&["--help"]);
    for command in ["images", "verify", "sweep", "external"] {
        assert!(
            general.contains(&format!("\n    {command} ")),
            "{command}: {general}"
        );
        let usage = format!("Usage:\n    terraform-provider-convex {command}");
        for asked in [&["--help"][..], &["-h"], &["--nonsense", "--help"]] {
            let (code, help, stderr) = run(&[&[command], asked].concat());
            assert_eq!((code, stderr.as_str()), (Some(0), ""), "{command}");
            assert!(
                help.contains(&usage) && !help.contains("Commands:"),
                "{help}"
            );
        }
        let (code, stdout, stderr) = run(&[command, "--nonsense"]);
        assert_eq!((code, stdout.as_str()), (Some(2), ""), "{command}");
        let invalid = format!("Invalid arguments: {command} --nonsense\n");
        assert!(
            stderr.starts_with(&invalid) && stderr.contains(&usage),
            "{stderr}"
        );
    }
}
