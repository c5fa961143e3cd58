//! What it costs to start the provider, as Terraform starts it: with a client
//! certificate, and asked for its schema. Run by `tests/bench/start`.

#![allow(
    clippy::print_stdout,
    clippy::cast_precision_loss,
    reason = "it prints figures, none of which needs more than 52 bits"
)]

#[path = "../it/support/plugin.rs"]
#[allow(dead_code)]
mod plugin;

use std::{fs, path::PathBuf};

use plugin::{ClientIdentity, Plugin};
use terraform_provider_convex::plugin::proto::get_provider_schema::Request;

const RUNS: usize = 25;

/// Most milliseconds of CPU from the start to the handshake.
const CPU_MS: f64 = 8.0;

/// Most memory once the schema was sent, in MiB.
const RESIDENT_MIB: f64 = 8.0;

/// CPU time of a process and all its threads so far, in milliseconds.
fn cpu_ms(pid: u32) -> f64 {
    let tasks = fs::read_dir(format!("/proc/{pid}/task")).expect("the process");
    let nanoseconds: u64 = tasks
        .filter_map(|task| {
            // The first number is the time spent on a CPU, in nanoseconds.
            let schedstat = fs::read_to_string(task.ok()?.path().join("schedstat")).ok()?;
            schedstat.split_whitespace().next()?.parse::<u64>().ok()
        })
        .sum();
    nanoseconds as f64 / 1e6
}

/// Resident memory of a process, in MiB: `VmRSS` for all of it, of which
/// `RssFile` is the program itself.
fn resident_mib(pid: u32, field: &str) -> f64 {
    let status = fs::read_to_string(format!("/proc/{pid}/status")).expect("the process");
    let line = status
        .lines()
        .find_map(|line| line.strip_prefix(field)?.strip_prefix(':'))
        .expect("a field of the kernel's");
    let kib: f64 = line
        .trim()
        .trim_end_matches(" kB")
        .parse()
        .expect("a number");
    kib / 1024.0
}

/// Prints the figures and gives their median.
fn report(what: &str, unit: &str, mut values: Vec<f64>) -> f64 {
    values.sort_by(f64::total_cmp);
    let median = values[values.len() / 2];
    println!(
        "{what}: median {median:.2} {unit} (from {:.2} to {:.2}, {} runs)",
        values[0],
        values[values.len() - 1],
        values.len()
    );
    median
}

#[tokio::main]
async fn main() {
    let program = PathBuf::from(
        std::env::var_os("CONVEX_TEST_PROVIDER")
            .expect("CONVEX_TEST_PROVIDER: see tests/bench/start"),
    );
    let identity = ClientIdentity::new();
    let (mut cpu, mut memory, mut file) = (Vec::new(), Vec::new(), Vec::new());
    for _ in 0..RUNS {
        let plugin = Plugin::start(&program, &[("PLUGIN_CLIENT_CERT", &identity.pem)]);
        let pid = plugin.child.id();
        cpu.push(cpu_ms(pid));
        let mut client = plugin.connect_tls(Some(&identity)).await.expect("trusted");
        client
            .get_provider_schema(Request {})
            .await
            .expect("a schema");
        memory.push(resident_mib(pid, "VmRSS"));
        file.push(resident_mib(pid, "RssFile"));
    }
    let size = fs::metadata(&program).expect("the program").len();
    println!("program: {:.1} MiB", size as f64 / 1_048_576.0);
    let cpu = report("start to handshake", "ms of CPU", cpu);
    let memory = report("resident after the schema", "MiB", memory);
    report("of which the program's own file", "MiB", file);
    assert!(cpu < CPU_MS, "more than {CPU_MS} ms of CPU");
    assert!(memory < RESIDENT_MIB, "more than {RESIDENT_MIB} MiB");
}
